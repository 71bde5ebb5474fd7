// What is no module with one function of whole tensors is refused before the pass runs.
// RUN: %hecaton-opt --hct-canonicalize --split-input-file --verify-diagnostics %s
// expected-error@+1 {{the module has 0 functions, and needs one}}
module {
}
// -----
// expected-error@+1 {{the module has 2 functions, and needs one}}
module {
  func.func @a() { return }
  func.func @b() { return }
}
// -----
module {
  // expected-error@+1 {{the body is not one block}}
  func.func private @step(tensor<4xf32>) -> tensor<4xf32>
}
// -----
module {
  // expected-error@+1 {{argument 0 is not a static tensor of a supported type and rank}}
  func.func @step(%x: tensor<?xf32> {hct.name = "x", hct.role = "input"}) { return }
}
// -----
module {
  // expected-error@+1 {{argument 0 has no hct.name}}
  func.func @step(%x: tensor<4xf32> {hct.role = "input"}) { return }
}
// -----
module {
  // expected-error@+1 {{argument 'x': hct.role 'output' is not one of arguments}}
  func.func @step(%x: tensor<4xf32> {hct.name = "x", hct.role = "output"}) { return }
}
// -----
module {
  // expected-error@+1 {{result 'w' of role param replaces no argument of its name, role and type}}
  func.func @step(%x: tensor<4xf32> {hct.name = "w", hct.role = "input"}) -> (tensor<4xf32> {hct.name = "w", hct.role = "param"}) { return %x : tensor<4xf32> }
}
// -----
module {
  func.func @step(%x: tensor<4xf32> {hct.name = "x", hct.role = "input"}) {
    // expected-error@+1 {{arith.constant: no operator of onnx, graph or dist level}}
    %0 = arith.constant dense<1.0> : tensor<4xf32>
    return
  }
}
// -----
module {
  func.func @step(%x: tensor<4xf32> {hct.name = "x", hct.role = "input"}) {
    // expected-error@+1 {{hct_graph.map1: fn 'gamma' is no function of MAP1}}
    %0 = "hct_graph.map1"(%x) {fn = "gamma"} : (tensor<4xf32>) -> tensor<4xf32>
    return
  }
}

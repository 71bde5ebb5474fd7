// Heads are found in shapes, so operators whose shapes do not fit, and a package that is none, are refused.
// RUN: %hecaton-opt --hct-replicate-heads --split-input-file --verify-diagnostics %s
module {
  func.func @step(%w: tensor<8xf32> {hct.name = "w", hct.role = "param"}) {
    // expected-error@+1 {{hct_graph.reshape}}
    %0 = "hct_graph.reshape"(%w) : (tensor<8xf32>) -> tensor<2x1x5xf32>
    return
  }
}
// -----
module {
  func.func @step(%w: tensor<2x1x4xf32> {hct.name = "w", hct.role = "param"}) {
    // expected-error@+1 {{hct_graph.broadcast}}
    %0 = "hct_graph.broadcast"(%w) : (tensor<2x1x4xf32>) -> tensor<3x4x4xf32>
    return
  }
}

// A loss, a parameter, an optimizer or an operator that training cannot use is refused, with what there is instead.
// RUN: %hecaton-opt --hct-derive-training --split-input-file --verify-diagnostics %s
// expected-error@unknown {{--loss=perplexity: the model has no such output}}
// expected-note@unknown {{the outputs are 'loss' f32[], 'y' f32[4]}}
// expected-hint@unknown {{--loss=OUTPUT chooses a scalar float output}}
module attributes {hct.options = {"loss" = "perplexity"}} {
  func.func @step(%x: tensor<4xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<4xf32> {hct.name = "w", hct.role = "param"})
      -> (tensor<f32> {hct.name = "loss", hct.role = "output"}, tensor<4xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map2"(%x, %w) {fn = "mul"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %1 = "hct_graph.contract"(%0, %w) {spec = "a,a->"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<f32>
    return %1, %0 : tensor<f32>, tensor<4xf32>
  }
}
// -----
// expected-error@unknown {{--loss=y: this output is not a scalar float}}
// expected-note@unknown {{the outputs are 'loss' f32[], 'y' f32[4]}}
// expected-hint@unknown {{--loss=OUTPUT chooses a scalar float output}}
module attributes {hct.options = {"loss" = "y"}} {
  func.func @step(%x: tensor<4xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<4xf32> {hct.name = "w", hct.role = "param"})
      -> (tensor<f32> {hct.name = "loss", hct.role = "output"}, tensor<4xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map2"(%x, %w) {fn = "mul"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %1 = "hct_graph.contract"(%0, %w) {spec = "a,a->"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<f32>
    return %1, %0 : tensor<f32>, tensor<4xf32>
  }
}
// -----
// One must be chosen where there are several.
// expected-error@unknown {{several outputs are scalar floats, and one must be chosen as the loss}}
// expected-note@unknown {{the outputs are 'loss' f32[], 'y' f32[]}}
// expected-hint@unknown {{--loss=OUTPUT chooses a scalar float output}}
module attributes {hct.options = {}} {
  func.func @step(%x: tensor<4xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<4xf32> {hct.name = "w", hct.role = "param"})
      -> (tensor<f32> {hct.name = "loss", hct.role = "output"}, tensor<f32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map2"(%x, %w) {fn = "mul"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %1 = "hct_graph.contract"(%0, %w) {spec = "a,a->"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<f32>
    return %1, %1 : tensor<f32>, tensor<f32>
  }
}
// -----
// expected-error@unknown {{--loss=cross-entropy:logits: the model has no output 'logits'}}
// expected-note@unknown {{the outputs are 'loss' f32[], 'y' f32[4]}}
// expected-hint@unknown {{--loss=OUTPUT chooses a scalar float output}}
module attributes {hct.options = {"loss" = "cross-entropy:logits"}} {
  func.func @step(%x: tensor<4xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<4xf32> {hct.name = "w", hct.role = "param"})
      -> (tensor<f32> {hct.name = "loss", hct.role = "output"}, tensor<4xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map2"(%x, %w) {fn = "mul"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %1 = "hct_graph.contract"(%0, %w) {spec = "a,a->"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<f32>
    return %1, %0 : tensor<f32>, tensor<4xf32>
  }
}
// -----
// expected-error@unknown {{--loss=cross-entropy:loss needs an f32 output with classes along its last dimension, and this one is f32 of rank 0}}
module attributes {hct.options = {"loss" = "cross-entropy:loss"}} {
  func.func @step(%x: tensor<4xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<4xf32> {hct.name = "w", hct.role = "param"})
      -> (tensor<f32> {hct.name = "loss", hct.role = "output"}, tensor<4xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map2"(%x, %w) {fn = "mul"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %1 = "hct_graph.contract"(%0, %w) {spec = "a,a->"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<f32>
    return %1, %0 : tensor<f32>, tensor<4xf32>
  }
}
// -----
// expected-error@unknown {{adds an input 'labels', and the model has one of that name already}}
module attributes {hct.options = {"loss" = "cross-entropy:y"}} {
  func.func @step(%x: tensor<4xf32> {hct.name = "labels", hct.role = "input"}, %w: tensor<4xf32> {hct.name = "w", hct.role = "param"})
      -> (tensor<f32> {hct.name = "loss", hct.role = "output"}, tensor<4xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map2"(%x, %w) {fn = "mul"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %1 = "hct_graph.contract"(%0, %w) {spec = "a,a->"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<f32>
    return %1, %0 : tensor<f32>, tensor<4xf32>
  }
}
// -----
// Nothing is left to train.
// expected-error@unknown {{no parameter that the loss 'loss' depends on is to be trained}}
// expected-hint@unknown {{--trainable=GLOB chooses parameters, --mode=infer needs none}}
module attributes {hct.options = {"trainable" = "-w"}} {
  func.func @step(%x: tensor<4xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<4xf32> {hct.name = "w", hct.role = "param"})
      -> (tensor<f32> {hct.name = "loss", hct.role = "output"}, tensor<4xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map2"(%x, %w) {fn = "mul"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %1 = "hct_graph.contract"(%0, %w) {spec = "a,a->"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<f32>
    return %1, %0 : tensor<f32>, tensor<4xf32>
  }
}
// -----
// expected-error@unknown {{--trainable=v.* matches no parameter}}
// expected-note@unknown {{the model has 1 float parameters, the first is 'w'}}
module attributes {hct.options = {"trainable" = "+v.*"}} {
  func.func @step(%x: tensor<4xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<4xf32> {hct.name = "w", hct.role = "param"})
      -> (tensor<f32> {hct.name = "loss", hct.role = "output"}, tensor<4xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map2"(%x, %w) {fn = "mul"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %1 = "hct_graph.contract"(%0, %w) {spec = "a,a->"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<f32>
    return %1, %0 : tensor<f32>, tensor<4xf32>
  }
}
// -----
// expected-error@unknown {{--frozen=v.* matches no parameter}}
// expected-note@unknown {{the model has 1 float parameters, the first is 'w'}}
module attributes {hct.options = {"trainable" = "-v.*"}} {
  func.func @step(%x: tensor<4xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<4xf32> {hct.name = "w", hct.role = "param"})
      -> (tensor<f32> {hct.name = "loss", hct.role = "output"}, tensor<4xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map2"(%x, %w) {fn = "mul"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %1 = "hct_graph.contract"(%0, %w) {spec = "a,a->"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<f32>
    return %1, %0 : tensor<f32>, tensor<4xf32>
  }
}
// -----
// expected-remark@unknown {{the loss is 'loss'; training 1 of 1 parameters: w}}
// expected-error@unknown {{--optimizer=lion: none, sgd, momentum, nesterov, adam or adamw is needed}}
module attributes {hct.options = {"optimizer" = "lion"}} {
  func.func @step(%x: tensor<4xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<4xf32> {hct.name = "w", hct.role = "param"})
      -> (tensor<f32> {hct.name = "loss", hct.role = "output"}, tensor<4xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map2"(%x, %w) {fn = "mul"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %1 = "hct_graph.contract"(%0, %w) {spec = "a,a->"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<f32>
    return %1, %0 : tensor<f32>, tensor<4xf32>
  }
}
// -----
// expected-remark@unknown {{the loss is 'loss'; training 1 of 1 parameters: w}}
// expected-error@unknown {{--lr=fast: a number from 0 to 3.4e+38 is needed}}
module attributes {hct.options = {"optimizer" = "adam", "lr" = "fast"}} {
  func.func @step(%x: tensor<4xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<4xf32> {hct.name = "w", hct.role = "param"})
      -> (tensor<f32> {hct.name = "loss", hct.role = "output"}, tensor<4xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map2"(%x, %w) {fn = "mul"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %1 = "hct_graph.contract"(%0, %w) {spec = "a,a->"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<f32>
    return %1, %0 : tensor<f32>, tensor<4xf32>
  }
}
// -----
// expected-error@unknown {{--clip-norm=1: there is no optimizer step that it would be part of, with --optimizer=none}}
module attributes {hct.options = {"optimizer" = "none", "clip-norm" = "1"}} {
  func.func @step(%x: tensor<4xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<4xf32> {hct.name = "w", hct.role = "param"})
      -> (tensor<f32> {hct.name = "loss", hct.role = "output"}, tensor<4xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map2"(%x, %w) {fn = "mul"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %1 = "hct_graph.contract"(%0, %w) {spec = "a,a->"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<f32>
    return %1, %0 : tensor<f32>, tensor<4xf32>
  }
}
// -----
// expected-error@unknown {{--keep-output=z: the model has no such output}}
module attributes {hct.options = {"keep-output" = "z"}} {
  func.func @step(%x: tensor<4xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<4xf32> {hct.name = "w", hct.role = "param"})
      -> (tensor<f32> {hct.name = "loss", hct.role = "output"}, tensor<4xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map2"(%x, %w) {fn = "mul"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %1 = "hct_graph.contract"(%0, %w) {spec = "a,a->"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<f32>
    return %1, %0 : tensor<f32>, tensor<4xf32>
  }
}
// -----
module attributes {hct.options = {}} {
  func.func @step(%x: tensor<4xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<4xf32> {hct.name = "w", hct.role = "param"})
      -> (tensor<f32> {hct.name = "loss", hct.role = "output"}) {
    // expected-error@below {{no gradient is known for hct_graph.softmax_grad}}
    // expected-note@below {{the loss depends on a trained parameter through this operator}}
    // expected-hint@below {{--frozen=GLOB leaves the parameters before it untrained}}
    %0 = "hct_graph.softmax_grad"(%x, %w) {axis = 0 : i64} : (tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
    %1 = "hct_graph.contract"(%0, %x) {spec = "a,a->"} : (tensor<4xf32>, tensor<4xf32>) -> tensor<f32>
    return %1 : tensor<f32>
  }
}

// A graph that is not partitioned, or whose shardings contradict its collectives, is refused.
// RUN: %hecaton-opt --hct-lower-to-tile --split-input-file --verify-diagnostics %s
// expected-error@unknown {{the module has no attribute hct.batch}}
// expected-hint@unknown {{run --hct-partition first}}
// expected-error@unknown {{the module has no attribute hct.micro_batch}}
// expected-hint@unknown {{run --hct-partition first}}
module {
  func.func @step(%x: tensor<4xf32> {hct.name = "x", hct.role = "input"}) { return }
}
// -----
// expected-error@unknown {{hct.micro_batch = 5 does not fit hct.batch = 4}}
module attributes {hct.batch = 4 : i64, hct.micro_batch = 5 : i64} {
  func.func @step(%x: tensor<4xf32> {hct.name = "x", hct.role = "input"}) { return }
}
// -----
// expected-error@below {{hct.batch is no positive number}}
module attributes {hct.batch = "4", hct.micro_batch = 2 : i64} {
  func.func @step(%x: tensor<4xf32> {hct.name = "x", hct.role = "input"}) { return }
}
// -----
// expected-error@unknown {{value has no sharding ('absent')}}
// expected-hint@unknown {{run --hct-partition first}}
module attributes {hct.batch = 4 : i64, hct.micro_batch = 2 : i64} {
  func.func @step(%x: tensor<4xf32> {hct.name = "x", hct.role = "input"}) { return }
}
// -----
module attributes {hct.batch = 4 : i64, hct.micro_batch = 2 : i64} {
  func.func @step(%x: tensor<4xf32> {hct.name = "x", hct.role = "input", hct.sharding = "[4@t]"}) {
    // expected-error@+2 {{value has no sharding ('absent')}}
    // expected-hint@+1 {{run --hct-partition first}}
    %0 = "hct_graph.map1"(%x) {fn = "neg"} : (tensor<4xf32>) -> tensor<4xf32>
    return
  }
}
// -----
module attributes {hct.batch = 4 : i64, hct.micro_batch = 2 : i64} {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input", hct.sharding = "[4@t,8]"}) {
    // expected-error@+1 {{hct_graph.map1: hct.sharding '[4@t,9]' is not of the tensor's shape}}
    %0 = "hct_graph.map1"(%x) {fn = "neg", hct.sharding = ["[4@t,9]"]} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    // expected-error@+1 {{hct_graph.map1: hct.sharding '[4@q,8]' is not of the form}}
    %1 = "hct_graph.map1"(%0) {fn = "neg", hct.sharding = ["[4@q,8]"]} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    // expected-error@+1 {{hct_graph.map1: hct.sharding is not an array of 1 texts, one a result}}
    %2 = "hct_graph.map1"(%1) {fn = "neg", hct.sharding = []} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    return
  }
}
// -----
module attributes {hct.batch = 4 : i64, hct.micro_batch = 2 : i64} {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input", hct.sharding = "[4@t,8@c]"}) {
    // expected-error@+1 {{hct_graph.all_gather: the operand is not split over r}}
    %0 = "hct_graph.all_gather"(%x) {axis = "r", hct.sharding = ["[4@t,8@c]"]} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    // expected-error@+1 {{hct_graph.reduce_scatter: the result is not split over c}}
    %1 = "hct_graph.reduce_scatter"(%x) {axis = "c", kind = "sum", hct.sharding = ["[4@t,8]"]} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    // expected-error@+1 {{hct_graph.shard_slice: the result is not split over r}}
    %2 = "hct_graph.shard_slice"(%x) {axis = "r", hct.sharding = ["[4@t,8@c]"]} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    // expected-error@+1 {{hct_graph.all_reduce: kind 'product' is neither sum nor max}}
    %3 = "hct_graph.all_reduce"(%x) {axis = "r", kind = "product", hct.sharding = ["[4@t,8@c]"]} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    // expected-error@+1 {{hct_graph.all_gather: axis 'z' is none of r, c, rc}}
    %4 = "hct_graph.all_gather"(%x) {axis = "z", hct.sharding = ["[4@t,8]"]} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    return
  }
}

// -----
// expected-error@unknown {{hct.stages has 4 units, forward and backward of 1 groups are 2}}
module attributes {hct.batch = 4 : i64, hct.micro_batch = 2 : i64, hct.stages = array<i64: 0, 0, 0, 1>} {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input", hct.sharding = "[4@t,8]"}) {
    return
  }
}
// -----
// expected-error@unknown {{hct.streamed has 4 units, forward and backward of 1 groups are 2}}
module attributes {hct.batch = 4 : i64, hct.micro_batch = 2 : i64, hct.streamed = array<i64: 0, 0, 0, 1>} {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input", hct.sharding = "[4@t,8]"}) {
    return
  }
}

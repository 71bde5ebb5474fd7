// Groups that cannot be as asked are refused, whatever the schedule, and so are stages that do not count up unit by unit.
// RUN: %hecaton-opt --hct-fuse-groups --split-input-file --verify-diagnostics %s
// expected-error@unknown {{--groups=1,2: it must be auto, blocks, a share of SRAM such as 50%, or the first units of stages, such as 0,2}}
// expected-note@unknown {{there are 4 units: forward of 2 groups, 0 to 1, then their backward, in reverse, 2 to 3}}
module attributes {hct.options = {groups = "1,2"}} {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map1"(%x) {fn = "neg", hct.group = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    return %0 : tensor<4x8xf32>
  }
}
// -----
// expected-error@unknown {{--groups=0,2,2: it must be auto, blocks, a share of SRAM such as 50%, or the first units of stages, such as 0,2}}
// expected-note@unknown {{there are 4 units: forward of 2 groups, 0 to 1, then their backward, in reverse, 2 to 3}}
module attributes {hct.options = {groups = "0,2,2"}} {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map1"(%x) {fn = "neg", hct.group = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    return %0 : tensor<4x8xf32>
  }
}
// -----
// expected-error@unknown {{--groups=0,4: it must be auto, blocks, a share of SRAM such as 50%, or the first units of stages, such as 0,2}}
// expected-note@unknown {{there are 4 units: forward of 2 groups, 0 to 1, then their backward, in reverse, 2 to 3}}
module attributes {hct.options = {groups = "0,4"}} {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map1"(%x) {fn = "neg", hct.group = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    return %0 : tensor<4x8xf32>
  }
}
// -----
// expected-error@unknown {{--groups=0,: it must be auto, blocks, a share of SRAM such as 50%, or the first units of stages, such as 0,2}}
// expected-note@unknown {{there are 4 units: forward of 2 groups, 0 to 1, then their backward, in reverse, 2 to 3}}
module attributes {hct.options = {groups = "0,"}} {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map1"(%x) {fn = "neg", hct.group = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    return %0 : tensor<4x8xf32>
  }
}
// -----
// expected-error@unknown {{--groups=some: it must be auto, blocks, a share of SRAM such as 50%, or the first units of stages, such as 0,2}}
// expected-note@unknown {{there are 4 units: forward of 2 groups, 0 to 1, then their backward, in reverse, 2 to 3}}
module attributes {hct.options = {groups = "some"}} {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map1"(%x) {fn = "neg", hct.group = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    return %0 : tensor<4x8xf32>
  }
}
// -----
// expected-error@unknown {{--groups=0%: it must be auto, blocks, a share of SRAM such as 50%, or the first units of stages, such as 0,2}}
// expected-note@unknown {{there are 4 units: forward of 2 groups, 0 to 1, then their backward, in reverse, 2 to 3}}
module attributes {hct.options = {groups = "0%"}} {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map1"(%x) {fn = "neg", hct.group = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    return %0 : tensor<4x8xf32>
  }
}
// -----
// expected-error@unknown {{--groups=101%: it must be auto, blocks, a share of SRAM such as 50%, or the first units of stages, such as 0,2}}
// expected-note@unknown {{there are 4 units: forward of 2 groups, 0 to 1, then their backward, in reverse, 2 to 3}}
module attributes {hct.options = {groups = "101%"}} {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map1"(%x) {fn = "neg", hct.group = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    return %0 : tensor<4x8xf32>
  }
}
// -----
// expected-error@unknown {{--groups=: it must be auto, blocks, a share of SRAM such as 50%, or the first units of stages, such as 0,2}}
// expected-note@unknown {{there are 4 units: forward of 2 groups, 0 to 1, then their backward, in reverse, 2 to 3}}
module attributes {hct.options = {groups = ""}} {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map1"(%x) {fn = "neg", hct.group = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    return %0 : tensor<4x8xf32>
  }
}
// -----
// expected-error@+1 {{hct.stages is no array of the stages of units, two a group, that counts up from 0}}
module attributes {hct.stages = [0, 1]} {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map1"(%x) {fn = "neg", hct.group = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    return %0 : tensor<4x8xf32>
  }
}
// -----
// expected-error@+1 {{hct.stages is no array of the stages of units, two a group, that counts up from 0}}
module attributes {hct.stages = array<i64: 0, 1, 2>} {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map1"(%x) {fn = "neg", hct.group = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    return %0 : tensor<4x8xf32>
  }
}
// -----
// expected-error@+1 {{hct.stages is no array of the stages of units, two a group, that counts up from 0}}
module attributes {hct.stages = array<i64: 1, 1>} {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map1"(%x) {fn = "neg", hct.group = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    return %0 : tensor<4x8xf32>
  }
}
// -----
// expected-error@+1 {{hct.stages is no array of the stages of units, two a group, that counts up from 0}}
module attributes {hct.stages = array<i64: 0, 2>} {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map1"(%x) {fn = "neg", hct.group = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    return %0 : tensor<4x8xf32>
  }
}
// -----
// expected-error@+1 {{hct.stages is no array of the stages of units, two a group, that counts up from 0}}
module attributes {hct.stages = array<i64: 1, 0>} {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map1"(%x) {fn = "neg", hct.group = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    return %0 : tensor<4x8xf32>
  }
}
// -----
// expected-error@unknown {{--weights=all: it must be auto, resident, streamed, weights or sums, or one of the last four for each stage, such as resident,streamed}}
// expected-note@unknown {{weights: these alone are streamed; sums: gradients, and what else is summed over the batch, alone; streamed: both}}
module attributes {hct.options = {weights = "all"}} {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map1"(%x) {fn = "neg", hct.group = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    return %0 : tensor<4x8xf32>
  }
}
// -----
// expected-error@unknown {{--weights=resident,: it must be auto, resident, streamed, weights or sums, or one of the last four for each stage, such as resident,streamed}}
// expected-note@unknown {{weights: these alone are streamed; sums: gradients, and what else is summed over the batch, alone; streamed: both}}
module attributes {hct.options = {weights = "resident,"}} {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map1"(%x) {fn = "neg", hct.group = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    return %0 : tensor<4x8xf32>
  }
}
// -----
// expected-error@unknown {{--weights=resident,streamed: 2 are given, one for each stage, in the order of --groups, and there is 1}}
module attributes {hct.options = {weights = "resident,streamed", groups = "0"}} {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map1"(%x) {fn = "neg", hct.group = 1 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    return %0 : tensor<4x8xf32>
  }
}
// -----
// expected-error@+1 {{hct.streamed is no array of what units stream, two a group, from 0 to 3}}
module attributes {hct.streamed = [0, 1]} {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map1"(%x) {fn = "neg", hct.group = 0 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    return %0 : tensor<4x8xf32>
  }
}
// -----
// expected-error@+1 {{hct.streamed is no array of what units stream, two a group, from 0 to 3}}
module attributes {hct.streamed = array<i64: 0>} {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map1"(%x) {fn = "neg", hct.group = 0 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    return %0 : tensor<4x8xf32>
  }
}
// -----
// expected-error@+1 {{hct.streamed is no array of what units stream, two a group, from 0 to 3}}
module attributes {hct.streamed = array<i64: 0, 4>} {
  func.func @step(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map1"(%x) {fn = "neg", hct.group = 0 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
    return %0 : tensor<4x8xf32>
  }
}

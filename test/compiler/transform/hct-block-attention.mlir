// Attention works in blocks of queries, each with the keys that its mask leaves; what is no attention stays as it is.
// RUN: %hecaton-opt --hct-block-attention --split-input-file %s | FileCheck %s

// Two blocks under a causal mask. The first reads two keys; the second has a part without mask in front of the diagonal. Both blocks share
// one mask of two by two; none of four by four is left.
// CHECK-LABEL: func.func @causal
// CHECK-SAME: (%[[Q:[a-z0-9]+]]: tensor<3x4x8xf32> {{.*}}, %[[K:[a-z0-9]+]]: tensor<3x4x8xf32> {{.*}}, %[[V:[a-z0-9]+]]: tensor<3x4x8xf32>
// CHECK-NEXT: %[[MASK:.+]] = "hct_graph.constant"() {value = dense<{{\[\[}}0.000000e+00, 0xFF800000], [0.000000e+00, 0.000000e+00]]> : tensor<2x2xf32>}
// CHECK-NEXT: %[[Q0:.+]] = "hct_graph.slice"(%[[Q]]) {starts = array<i64: 0, 0, 0>
// CHECK-NEXT: %[[K0:.+]] = "hct_graph.slice"(%[[K]]) {hct.whole = 1 : i64, starts = array<i64: 0, 0, 0>{{.*}} -> tensor<3x2x8xf32>
// CHECK-NEXT: %[[S0:.+]] = "hct_graph.contract"(%[[Q0]], %[[K0]]) {hct.pairs = array<i64: 3, 4>, spec = "amk,ank->amn"}
// CHECK-NEXT: %[[A0:.+]] = "hct_graph.map2"(%[[S0]], %[[MASK]]) {fn = "add"}
// CHECK-NEXT: %[[P0:.+]] = "hct_graph.softmax"(%[[A0]])
// CHECK-NEXT: %[[V0:.+]] = "hct_graph.slice"(%[[V]]) {hct.whole = 1 : i64, starts = array<i64: 0, 0, 0>{{.*}} -> tensor<3x2x8xf32>
// CHECK-NEXT: %[[Y0:.+]] = "hct_graph.contract"(%[[P0]], %[[V0]]) {hct.pairs = array<i64: 3, 4>, spec = "amn,ank->amk"}
// CHECK-NEXT: %[[Q1:.+]] = "hct_graph.slice"(%[[Q]]) {starts = array<i64: 0, 2, 0>
// CHECK-NEXT: %[[KA:.+]] = "hct_graph.slice"(%[[K]]) {hct.whole = 1 : i64, starts = array<i64: 0, 0, 0>
// CHECK-NEXT: %[[SA:.+]] = "hct_graph.contract"(%[[Q1]], %[[KA]]) {spec = "amk,ank->amn"}
// CHECK-NEXT: %[[KB:.+]] = "hct_graph.slice"(%[[K]]) {hct.whole = 1 : i64, starts = array<i64: 0, 2, 0>
// CHECK-NEXT: %[[SB:.+]] = "hct_graph.contract"(%[[Q1]], %[[KB]]) {hct.pairs = array<i64: 3, 4>
// CHECK-NEXT: %[[AB:.+]] = "hct_graph.map2"(%[[SB]], %[[MASK]]) {fn = "add"}
// CHECK-NEXT: %[[S1:.+]] = "hct_graph.concat"(%[[SA]], %[[AB]]) {axis = 2 : i64
// CHECK-NEXT: %[[P1:.+]] = "hct_graph.softmax"(%[[S1]])
// CHECK-NEXT: %[[Y1:.+]] = "hct_graph.contract"(%[[P1]], %[[V]]) {hct.pairs = array<i64: 7, 8>
// CHECK-NEXT: %[[Y:.+]] = "hct_graph.concat"(%[[Y0]], %[[Y1]]) {axis = 1 : i64
// CHECK-NEXT: return %[[Y]]
module attributes {hct.options = {"attention-blocks" = "2"}} {
  func.func @causal(%q: tensor<3x4x8xf32> {hct.name = "q", hct.role = "input"}, %k: tensor<3x4x8xf32> {hct.name = "k", hct.role = "input"}, %v: tensor<3x4x8xf32> {hct.name = "v", hct.role = "input"})
      -> (tensor<3x4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %m = "hct_graph.constant"() {value = dense<[[0.0, 0xFF800000, 0xFF800000, 0xFF800000], [0.0, 0.0, 0xFF800000, 0xFF800000], [0.0, 0.0, 0.0, 0xFF800000], [0.0, 0.0, 0.0, 0.0]]> : tensor<4x4xf32>} : () -> tensor<4x4xf32>
    %0 = "hct_graph.contract"(%q, %k) {spec = "amk,ank->amn"} : (tensor<3x4x8xf32>, tensor<3x4x8xf32>) -> tensor<3x4x4xf32>
    %1 = "hct_graph.map2"(%0, %m) {fn = "add"} : (tensor<3x4x4xf32>, tensor<4x4xf32>) -> tensor<3x4x4xf32>
    %2 = "hct_graph.softmax"(%1) {axis = 2 : i64} : (tensor<3x4x4xf32>) -> tensor<3x4x4xf32>
    %3 = "hct_graph.contract"(%2, %v) {spec = "amn,ank->amk"} : (tensor<3x4x4xf32>, tensor<3x4x8xf32>) -> tensor<3x4x8xf32>
    return %3 : tensor<3x4x8xf32>
  }
}
// -----
// A mask that is read at run time could exclude every key that the causal one leaves, so all keys stay, and it is cut like the queries.
// CHECK-LABEL: func.func @padded
// CHECK-SAME: %[[K:[a-z0-9]+]]: tensor<3x4x8xf32> {hct.name = "k"
// CHECK-SAME: %[[P:[a-z0-9]+]]: tensor<4x4xf32>
// CHECK: "hct_graph.contract"({{.*}}, %[[K]]) {spec = "amk,ank->amn"} : {{.*}} -> tensor<3x2x4xf32>
// CHECK-NEXT: "hct_graph.map2"
// CHECK-NEXT: "hct_graph.slice"(%[[P]]) {starts = array<i64: 0, 0>, steps = array<i64: 1, 1>} : (tensor<4x4xf32>) -> tensor<2x4xf32>
// CHECK-NEXT: "hct_graph.map2"{{.*}} -> tensor<3x2x4xf32>
// CHECK-NEXT: "hct_graph.softmax"
module attributes {hct.options = {"attention-blocks" = "2"}} {
  func.func @padded(%q: tensor<3x4x8xf32> {hct.name = "q", hct.role = "input"}, %k: tensor<3x4x8xf32> {hct.name = "k", hct.role = "input"}, %p: tensor<4x4xf32> {hct.name = "p", hct.role = "input"})
      -> (tensor<3x4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %m = "hct_graph.constant"() {value = dense<[[0.0, -1.0e9, -1.0e9, -1.0e9], [0.0, 0.0, -1.0e9, -1.0e9], [0.0, 0.0, 0.0, -1.0e9], [0.0, 0.0, 0.0, 0.0]]> : tensor<4x4xf32>} : () -> tensor<4x4xf32>
    %0 = "hct_graph.contract"(%q, %k) {spec = "amk,ank->amn"} : (tensor<3x4x8xf32>, tensor<3x4x8xf32>) -> tensor<3x4x4xf32>
    %1 = "hct_graph.map2"(%0, %m) {fn = "add"} : (tensor<3x4x4xf32>, tensor<4x4xf32>) -> tensor<3x4x4xf32>
    %2 = "hct_graph.map2"(%1, %p) {fn = "add"} : (tensor<3x4x4xf32>, tensor<4x4xf32>) -> tensor<3x4x4xf32>
    %3 = "hct_graph.softmax"(%2) {axis = 2 : i64} : (tensor<3x4x4xf32>) -> tensor<3x4x4xf32>
    %4 = "hct_graph.contract"(%3, %k) {spec = "amn,ank->amk"} : (tensor<3x4x4xf32>, tensor<3x4x8xf32>) -> tensor<3x4x8xf32>
    return %4 : tensor<3x4x8xf32>
  }
}
// -----
// Beside -inf it does not matter what else is added.
// CHECK-LABEL: func.func @padded_infinite
// CHECK: "hct_graph.softmax"{{.*}} -> tensor<3x2x2xf32>
// CHECK: "hct_graph.softmax"{{.*}} -> tensor<3x2x4xf32>
module attributes {hct.options = {"attention-blocks" = "2"}} {
  func.func @padded_infinite(%q: tensor<3x4x8xf32> {hct.name = "q", hct.role = "input"}, %k: tensor<3x4x8xf32> {hct.name = "k", hct.role = "input"}, %p: tensor<4x4xf32> {hct.name = "p", hct.role = "input"})
      -> (tensor<3x4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %m = "hct_graph.constant"() {value = dense<[[0.0, 0xFF800000, 0xFF800000, 0xFF800000], [0.0, 0.0, 0xFF800000, 0xFF800000], [0.0, 0.0, 0.0, 0xFF800000], [0.0, 0.0, 0.0, 0.0]]> : tensor<4x4xf32>} : () -> tensor<4x4xf32>
    %0 = "hct_graph.contract"(%q, %k) {spec = "amk,ank->amn"} : (tensor<3x4x8xf32>, tensor<3x4x8xf32>) -> tensor<3x4x4xf32>
    %1 = "hct_graph.map2"(%0, %m) {fn = "add"} : (tensor<3x4x4xf32>, tensor<4x4xf32>) -> tensor<3x4x4xf32>
    %2 = "hct_graph.map2"(%1, %p) {fn = "add"} : (tensor<3x4x4xf32>, tensor<4x4xf32>) -> tensor<3x4x4xf32>
    %3 = "hct_graph.softmax"(%2) {axis = 2 : i64} : (tensor<3x4x4xf32>) -> tensor<3x4x4xf32>
    %4 = "hct_graph.contract"(%3, %k) {spec = "amn,ank->amk"} : (tensor<3x4x4xf32>, tensor<3x4x8xf32>) -> tensor<3x4x8xf32>
    return %4 : tensor<3x4x8xf32>
  }
}
// -----
// What a selection at run time puts in place of a score may be as low as what a table has added to the others, and is not -inf where that was.
// CHECK-LABEL: func.func @selected
// CHECK-COUNT-2: "hct_graph.softmax"{{.*}} -> tensor<3x2x4xf32>
module attributes {hct.options = {"attention-blocks" = "2"}} {
  func.func @selected(%q: tensor<3x4x8xf32> {hct.name = "q", hct.role = "input"}, %k: tensor<3x4x8xf32> {hct.name = "k", hct.role = "input"}, %p: tensor<4x4xi1> {hct.name = "p", hct.role = "input"})
      -> (tensor<3x4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %m = "hct_graph.constant"() {value = dense<[[0.0, 0xFF800000, 0xFF800000, 0xFF800000], [0.0, 0.0, 0xFF800000, 0xFF800000], [0.0, 0.0, 0.0, 0xFF800000], [0.0, 0.0, 0.0, 0.0]]> : tensor<4x4xf32>} : () -> tensor<4x4xf32>
    %0 = "hct_graph.contract"(%q, %k) {spec = "amk,ank->amn"} : (tensor<3x4x8xf32>, tensor<3x4x8xf32>) -> tensor<3x4x4xf32>
    %1 = "hct_graph.map2"(%0, %m) {fn = "add"} : (tensor<3x4x4xf32>, tensor<4x4xf32>) -> tensor<3x4x4xf32>
    %low = "hct_graph.constant"() {value = dense<-1.0e9> : tensor<f32>} : () -> tensor<f32>
    %2 = "hct_graph.select"(%p, %1, %low) : (tensor<4x4xi1>, tensor<3x4x4xf32>, tensor<f32>) -> tensor<3x4x4xf32>
    %3 = "hct_graph.softmax"(%2) {axis = 2 : i64} : (tensor<3x4x4xf32>) -> tensor<3x4x4xf32>
    %4 = "hct_graph.contract"(%3, %k) {spec = "amn,ank->amk"} : (tensor<3x4x4xf32>, tensor<3x4x8xf32>) -> tensor<3x4x8xf32>
    return %4 : tensor<3x4x8xf32>
  }
}
// -----
// By itself a short sequence is one block, and a softmax whose result is used twice, or over another dimension, is left alone.
// CHECK-LABEL: func.func @others
// CHECK-NEXT: "hct_graph.contract"
// CHECK-NEXT: "hct_graph.softmax"
// CHECK-NEXT: "hct_graph.contract"
// CHECK-NEXT: "hct_graph.map2"
// CHECK-NEXT: "hct_graph.softmax"
// CHECK-NEXT: return
module {
  func.func @others(%q: tensor<3x4x8xf32> {hct.name = "q", hct.role = "input"}, %k: tensor<3x4x8xf32> {hct.name = "k", hct.role = "input"})
      -> (tensor<3x4x8xf32> {hct.name = "y", hct.role = "output"}, tensor<3x4x4xf32> {hct.name = "p", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%q, %k) {spec = "amk,ank->amn"} : (tensor<3x4x8xf32>, tensor<3x4x8xf32>) -> tensor<3x4x4xf32>
    %1 = "hct_graph.softmax"(%0) {axis = 2 : i64} : (tensor<3x4x4xf32>) -> tensor<3x4x4xf32>
    %2 = "hct_graph.contract"(%1, %k) {spec = "amn,ank->amk"} : (tensor<3x4x4xf32>, tensor<3x4x8xf32>) -> tensor<3x4x8xf32>
    %3 = "hct_graph.map2"(%2, %q) {fn = "mul"} : (tensor<3x4x8xf32>, tensor<3x4x8xf32>) -> tensor<3x4x8xf32>
    %4 = "hct_graph.softmax"(%3) {axis = 1 : i64} : (tensor<3x4x8xf32>) -> tensor<3x4x8xf32>
    return %4, %1 : tensor<3x4x8xf32>, tensor<3x4x4xf32>
  }
}
// -----
// Probabilities are dropped by the numbers that they have among all queries and keys: the second block begins at query 2 of 4 keys.
// CHECK-LABEL: func.func @dropped
// CHECK: "hct_graph.dropout"({{.*}}) {index = array<i64: 16, 4, 1, 0>, {{.*}} -> tensor<3x2x2xf32>
// CHECK: "hct_graph.dropout"({{.*}}) {index = array<i64: 16, 4, 1, 8>, {{.*}} -> tensor<3x2x4xf32>
module attributes {hct.options = {"attention-blocks" = "2"}} {
  func.func @dropped(%q: tensor<3x4x8xf32> {hct.name = "q", hct.role = "input"}, %k: tensor<3x4x8xf32> {hct.name = "k", hct.role = "input"}) -> (tensor<3x4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %seed = "hct_graph.constant"() {value = dense<0> : tensor<i64>} : () -> tensor<i64>
    %step = "hct_graph.constant"() {value = dense<0.0> : tensor<f32>} : () -> tensor<f32>
    %mask = "hct_graph.constant"() {value = dense<[[0.0, -1.0e9, -1.0e9, -1.0e9], [0.0, 0.0, -1.0e9, -1.0e9], [0.0, 0.0, 0.0, -1.0e9], [0.0, 0.0, 0.0, 0.0]]> : tensor<4x4xf32>} : () -> tensor<4x4xf32>
    %0 = "hct_graph.contract"(%q, %k) {spec = "amk,ank->amn"} : (tensor<3x4x8xf32>, tensor<3x4x8xf32>) -> tensor<3x4x4xf32>
    %1 = "hct_graph.map2"(%0, %mask) {fn = "add"} : (tensor<3x4x4xf32>, tensor<4x4xf32>) -> tensor<3x4x4xf32>
    %2 = "hct_graph.softmax"(%1) {axis = 2 : i64} : (tensor<3x4x4xf32>) -> tensor<3x4x4xf32>
    %3 = "hct_graph.dropout"(%2, %seed, %step) {ratio = 0.5, stream = 3 : i64, index = array<i64: 16, 4, 1, 0>} : (tensor<3x4x4xf32>, tensor<i64>, tensor<f32>) -> tensor<3x4x4xf32>
    %4 = "hct_graph.contract"(%3, %k) {spec = "amn,ank->amk"} : (tensor<3x4x4xf32>, tensor<3x4x8xf32>) -> tensor<3x4x8xf32>
    return %4 : tensor<3x4x8xf32>
  }
}
// -----
// A score that is masked and then dropped is 0, so no key is left out; of two parts the second begins at key 2.
// CHECK-LABEL: func.func @dropped_scores
// CHECK: "hct_graph.dropout"({{.*}}) {index = array<i64: 16, 4, 1, 0>, {{.*}} -> tensor<3x2x4xf32>
// CHECK: "hct_graph.dropout"({{.*}}) {index = array<i64: 16, 4, 1, 8>, {{.*}} -> tensor<3x2x2xf32>
// CHECK: "hct_graph.dropout"({{.*}}) {index = array<i64: 16, 4, 1, 10>, {{.*}} -> tensor<3x2x2xf32>
module attributes {hct.options = {"attention-blocks" = "2"}} {
  func.func @dropped_scores(%q: tensor<3x4x8xf32> {hct.name = "q", hct.role = "input"}, %k: tensor<3x4x8xf32> {hct.name = "k", hct.role = "input"}) -> (tensor<3x4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %seed = "hct_graph.constant"() {value = dense<0> : tensor<i64>} : () -> tensor<i64>
    %step = "hct_graph.constant"() {value = dense<0.0> : tensor<f32>} : () -> tensor<f32>
    %mask = "hct_graph.constant"() {value = dense<[[0.0, -1.0e9, -1.0e9, -1.0e9], [0.0, 0.0, -1.0e9, -1.0e9], [0.0, 0.0, 0.0, -1.0e9], [0.0, 0.0, 0.0, 0.0]]> : tensor<4x4xf32>} : () -> tensor<4x4xf32>
    %0 = "hct_graph.contract"(%q, %k) {spec = "amk,ank->amn"} : (tensor<3x4x8xf32>, tensor<3x4x8xf32>) -> tensor<3x4x4xf32>
    %1 = "hct_graph.map2"(%0, %mask) {fn = "add"} : (tensor<3x4x4xf32>, tensor<4x4xf32>) -> tensor<3x4x4xf32>
    %2 = "hct_graph.dropout"(%1, %seed, %step) {ratio = 0.5, stream = 3 : i64, index = array<i64: 16, 4, 1, 0>} : (tensor<3x4x4xf32>, tensor<i64>, tensor<f32>) -> tensor<3x4x4xf32>
    %3 = "hct_graph.softmax"(%2) {axis = 2 : i64} : (tensor<3x4x4xf32>) -> tensor<3x4x4xf32>
    %4 = "hct_graph.contract"(%3, %k) {spec = "amn,ank->amk"} : (tensor<3x4x4xf32>, tensor<3x4x8xf32>) -> tensor<3x4x8xf32>
    return %4 : tensor<3x4x8xf32>
  }
}
// -----
// Scores of a block of three samples take 3 x 2 x 4 x 4 bytes: more than a sixteenth of 1,024. All keys and values that a block reads are then gathered once, too, and not by
// blocks of tokens.
// CHECK-LABEL: func.func @large
// CHECK-SAME: %[[K:[a-z0-9]+]]: tensor<3x4x8xf32> {hct.name = "k"
// CHECK: %[[ALL:.+]] = "hct_graph.slice"(%[[K]]) {hct.whole = 1 : i64, starts = array<i64: 0, 0, 0>{{.*}} -> tensor<3x4x8xf32>
// CHECK-NEXT: "hct_graph.contract"({{.*}}, %[[ALL]]) {spec = "amk,ank->amn"} : {{.*}} -> tensor<3x2x4xf32>
// CHECK: %[[VALUES:.+]] = "hct_graph.slice"(%[[K]]) {hct.whole = 1 : i64, starts = array<i64: 0, 0, 0>{{.*}} -> tensor<3x4x8xf32>
// CHECK-NEXT: "hct_graph.contract"({{.*}}, %[[VALUES]]) {spec = "amn,ank->amk"}
module attributes {hct.package = "<package name='p' rows='1' cols='1'><die clock_hz='1e9'><mxu arrays='8' rows='32' cols='32' dataflow='output-stationary' f32_rate='0.25'/><vpu lanes='256' transcendental_cycles='4'/><sram bytes='1024' bytes_per_cycle='2048'/><queue depth='16'/></die><link bandwidth_bytes_per_s='64e9' latency_s='8e-9' bypass_latency_s='4e-9' energy_j_per_bit='0.6e-12'/><dram kind='DDR5-6400' channels='4' channel_bandwidth_bytes_per_s='51.2e9' efficiency='0.92' latency_s='60e-9' channel_capacity_bytes='68719476736' energy_j_per_bit='14e-12'/><energy mac_f32_j='2.2e-12' mac_bf16_j='0.6e-12' vector_op_j='1.5e-12' sram_j_per_byte='0.8e-12' static_w_per_die='0.5'/></package>", hct.options = {"attention-blocks" = "2", "micro-batch" = "3"}} {
  func.func @large(%q: tensor<3x4x8xf32> {hct.name = "q", hct.role = "input"}, %k: tensor<3x4x8xf32> {hct.name = "k", hct.role = "input"}) -> (tensor<3x4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%q, %k) {spec = "amk,ank->amn"} : (tensor<3x4x8xf32>, tensor<3x4x8xf32>) -> tensor<3x4x4xf32>
    %1 = "hct_graph.softmax"(%0) {axis = 2 : i64} : (tensor<3x4x4xf32>) -> tensor<3x4x4xf32>
    %2 = "hct_graph.contract"(%1, %k) {spec = "amn,ank->amk"} : (tensor<3x4x4xf32>, tensor<3x4x8xf32>) -> tensor<3x4x8xf32>
    return %2 : tensor<3x4x8xf32>
  }
}

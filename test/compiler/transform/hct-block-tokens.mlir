// Operators that treat the sequence as a loop are written once a block, a sum over it adds the blocks' sums, keys are put together; one block changes nothing.
// RUN: %hecaton-opt --hct-block-tokens --split-input-file %s | FileCheck %s

// CHECK-LABEL: func.func @blocks
// CHECK-SAME: (%[[IDS:.+]]: tensor<4x6xi64> {{.*}}, %[[TABLE:.+]]: tensor<9x8xf32> {{.*}}, %[[W:.+]]: tensor<8x8xf32>
// Rows are looked up for both blocks at once, of which each is a tensor of its own.
// CHECK: %[[I:.+]] = "hct_graph.reshape"(%[[IDS]]) {{.*}} -> tensor<4x2x3xi64>
// CHECK: %[[X:.+]] = "hct_graph.gather_rows"(%[[TABLE]], %[[I]]) {{{.*}}hct.layer = "embed"{{.*}}-> tensor<4x2x3x8xf32>
// CHECK: %[[S0:.+]] = "hct_graph.slice"(%[[X]]) {{{.*}}hct.layer = "embed"{{.*}}starts = array<i64: 0, 0, 0, 0>{{.*}} -> tensor<4x1x3x8xf32>
// CHECK: %[[R0:.+]] = "hct_graph.reshape"(%[[S0]]) {{.*}} -> tensor<4x3x8xf32>
// CHECK: %[[X0:.+]] = "hct_graph.map1"(%[[R0]]) {fn = "mov"
// CHECK: %[[S1:.+]] = "hct_graph.slice"(%[[X]]) {{{.*}}starts = array<i64: 0, 1, 0, 0>
// CHECK: %[[R1:.+]] = "hct_graph.reshape"(%[[S1]])
// CHECK: %[[X1:.+]] = "hct_graph.map1"(%[[R1]]) {fn = "mov"
// The table of positions is cut at compile time.
// CHECK: %[[P0:.+]] = "hct_graph.constant"() {{{.*}}value = dense<{{.*}}0.0{{.*}}> : tensor<3x1xf32>
// CHECK: %[[P1:.+]] = "hct_graph.constant"() {{{.*}}value = dense<{{.*}}5.0{{.*}}> : tensor<3x1xf32>
// CHECK: %[[Y0:.+]] = "hct_graph.map2"(%[[X0]], %[[P0]])
// CHECK: %[[Y1:.+]] = "hct_graph.map2"(%[[X1]], %[[P1]])
// CHECK: %[[Q0:.+]] = "hct_graph.contract"(%[[Y0]], %[[W]]) {{.*}} -> tensor<4x3x8xf32>
// CHECK: %[[Q1:.+]] = "hct_graph.contract"(%[[Y1]], %[[W]])
// Keys are wanted whole.
// CHECK: %[[K:.+]] = "hct_graph.concat"(%[[Y0]], %[[Y1]]) {axis = 1 : i64{{.*}} -> tensor<4x6x8xf32>
// CHECK: %[[S0:.+]] = "hct_graph.contract"(%[[Q0]], %[[K]]) {{.*}} -> tensor<4x3x6xf32>
// CHECK: %[[S1:.+]] = "hct_graph.contract"(%[[Q1]], %[[K]])
// CHECK: %[[R0:.+]] = "hct_graph.reduce"(%[[S0]]) {axes = array<i64: 1, 2>{{.*}} -> tensor<4x1x1xf32>
// CHECK: %[[R1:.+]] = "hct_graph.reduce"(%[[S1]])
// CHECK: %[[R:.+]] = "hct_graph.map2"(%[[R0]], %[[R1]]) {fn = "add"
// The first block of all rows, and a row of both.
// CHECK-NOT: "hct_graph.slice"
// CHECK: %[[OUT:.+]] = "hct_graph.concat"(%[[Q0]], %[[Q1]])
// CHECK: return %[[R]], %[[Y0]], %[[OUT]] :
module attributes {hct.options = {"token-blocks" = "2"}} {
  func.func @blocks(%ids: tensor<4x6xi64> {hct.name = "ids", hct.role = "input"}, %table: tensor<9x8xf32> {hct.name = "t", hct.role = "param"}, %w: tensor<8x8xf32> {hct.name = "w", hct.role = "param"})
      -> (tensor<4x1x1xf32> {hct.name = "r", hct.role = "output"}, tensor<4x3x8xf32> {hct.name = "first", hct.role = "output"}, tensor<4x6x8xf32> {hct.name = "q", hct.role = "output"}) {
    %x = "hct_graph.gather_rows"(%table, %ids) {hct.layer = "embed"} : (tensor<9x8xf32>, tensor<4x6xi64>) -> tensor<4x6x8xf32>
    %p = "hct_graph.constant"() {value = dense<[[0.0], [1.0], [2.0], [3.0], [4.0], [5.0]]> : tensor<6x1xf32>} : () -> tensor<6x1xf32>
    %y = "hct_graph.map2"(%x, %p) {fn = "add"} : (tensor<4x6x8xf32>, tensor<6x1xf32>) -> tensor<4x6x8xf32>
    %q = "hct_graph.contract"(%y, %w) {spec = "amk,kn->amn"} : (tensor<4x6x8xf32>, tensor<8x8xf32>) -> tensor<4x6x8xf32>
    %s = "hct_graph.contract"(%q, %y) {spec = "amk,ank->amn"} : (tensor<4x6x8xf32>, tensor<4x6x8xf32>) -> tensor<4x6x6xf32>
    %r = "hct_graph.reduce"(%s) {kind = "sum", axes = array<i64: 1, 2>} : (tensor<4x6x6xf32>) -> tensor<4x1x1xf32>
    %first = "hct_graph.slice"(%y) {starts = array<i64: 0, 0, 0>, steps = array<i64: 1, 1, 1>} : (tensor<4x6x8xf32>) -> tensor<4x3x8xf32>
    return %r, %first, %q : tensor<4x1x1xf32>, tensor<4x3x8xf32>, tensor<4x6x8xf32>
  }
}
// -----
// CHECK-LABEL: func.func @one
// CHECK-NOT: "hct_graph.slice"
// CHECK: "hct_graph.map1"(%{{.+}}) {fn = "neg"} : (tensor<4x6xf32>) -> tensor<4x6xf32>
module attributes {hct.options = {"token-blocks" = "1"}} {
  func.func @one(%x: tensor<4x6xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x6xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map1"(%x) {fn = "neg"} : (tensor<4x6xf32>) -> tensor<4x6xf32>
    return %0 : tensor<4x6xf32>
  }
}
// -----
// Each block of a dropout goes on with the numbers that its elements have in the whole: 3 tokens of 8 features further.
// CHECK-LABEL: func.func @dropped
// CHECK: "hct_graph.dropout"({{.*}}) {index = array<i64: 48, 8, 1, 0>, ratio = 5.000000e-01 : f64, stream = 3 : i64} : (tensor<4x3x8xf32>,
// CHECK-NEXT: "hct_graph.dropout"({{.*}}) {index = array<i64: 48, 8, 1, 24>, ratio = 5.000000e-01 : f64, stream = 3 : i64} : (tensor<4x3x8xf32>,
module attributes {hct.options = {"token-blocks" = "2"}} {
  func.func @dropped(%x: tensor<4x6x8xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4x6x8xf32> {hct.name = "y", hct.role = "output"}) {
    %seed = "hct_graph.constant"() {value = dense<0> : tensor<i64>} : () -> tensor<i64>
    %step = "hct_graph.constant"() {value = dense<0.0> : tensor<f32>} : () -> tensor<f32>
    %0 = "hct_graph.dropout"(%x, %seed, %step) {ratio = 0.5, stream = 3 : i64, index = array<i64: 48, 8, 1, 0>} : (tensor<4x6x8xf32>, tensor<i64>, tensor<f32>) -> tensor<4x6x8xf32>
    return %0 : tensor<4x6x8xf32>
  }
}
// -----
// All keys, as the last block of queries reads them: one buffer for all blocks, and so whole, though a sum over them could go by blocks.
// CHECK-LABEL: func.func @keys
// CHECK: %[[K:.+]] = "hct_graph.concat"({{.*}} -> tensor<4x6x8xf32>
// CHECK-NEXT: %[[ALL:.+]] = "hct_graph.slice"(%[[K]]) {hct.whole = 1 : i64
// CHECK-NEXT: %[[Y:.+]] = "hct_graph.contract"(%{{.+}}, %[[ALL]])
// CHECK-NEXT: return %[[Y]]
module attributes {hct.options = {"token-blocks" = "2"}} {
  func.func @keys(%x: tensor<4x6x8xf32> {hct.name = "x", hct.role = "input"}, %p: tensor<4x2x6xf32> {hct.name = "p", hct.role = "param"}) -> (tensor<4x2x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map1"(%x) {fn = "neg"} : (tensor<4x6x8xf32>) -> tensor<4x6x8xf32>
    %1 = "hct_graph.slice"(%0) {starts = array<i64: 0, 0, 0>, steps = array<i64: 1, 1, 1>, hct.whole = 1 : i64} : (tensor<4x6x8xf32>) -> tensor<4x6x8xf32>
    %2 = "hct_graph.contract"(%p, %1) {spec = "amn,ank->amk"} : (tensor<4x2x6xf32>, tensor<4x6x8xf32>) -> tensor<4x2x8xf32>
    return %2 : tensor<4x2x8xf32>
  }
}
// -----
// Rows of one block are 2 x 8 x 4 = 64 bytes, so those of two are an eighth of 1,024.
// CHECK-LABEL: func.func @tables
// CHECK: %[[I0:.+]] = "hct_graph.slice"(%{{.+}}) {starts = array<i64: 0, 0>, {{.*}} -> tensor<1x4xi64>
// CHECK-NEXT: %[[A0:.+]] = "hct_graph.reshape"(%[[I0]]) : (tensor<1x4xi64>) -> tensor<1x2x2xi64>
// CHECK-NEXT: "hct_graph.gather_rows"(%{{.+}}, %[[A0]]) : {{.*}} -> tensor<1x2x2x8xf32>
// CHECK-COUNT-2: "hct_graph.map1"({{.*}}) {fn = "mov"} : (tensor<1x2x8xf32>)
// CHECK: "hct_graph.slice"(%{{.+}}) {starts = array<i64: 0, 4>, {{.*}} -> tensor<1x4xi64>
// CHECK: "hct_graph.gather_rows"({{.*}} -> tensor<1x2x2x8xf32>
// CHECK-NOT: "hct_graph.gather_rows"
// CHECK: return
module attributes {hct.package = "<package name='p' rows='1' cols='1'><die clock_hz='1e9'><mxu arrays='8' rows='32' cols='32' dataflow='output-stationary' f32_rate='0.25'/><vpu lanes='256' transcendental_cycles='4'/><sram bytes='1024' bytes_per_cycle='2048'/><queue depth='16'/></die><link bandwidth_bytes_per_s='64e9' latency_s='8e-9' bypass_latency_s='4e-9' energy_j_per_bit='0.6e-12'/><dram kind='DDR5-6400' channels='4' channel_bandwidth_bytes_per_s='51.2e9' efficiency='0.92' latency_s='60e-9' channel_capacity_bytes='68719476736' energy_j_per_bit='14e-12'/><energy mac_f32_j='2.2e-12' mac_bf16_j='0.6e-12' vector_op_j='1.5e-12' sram_j_per_byte='0.8e-12' static_w_per_die='0.5'/></package>", hct.options = {"token-blocks" = "4"}} {
  func.func @tables(%ids: tensor<1x8xi64> {hct.name = "ids", hct.role = "input"}, %table: tensor<9x8xf32> {hct.name = "t", hct.role = "param"}) -> (tensor<1x8x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.gather_rows"(%table, %ids) : (tensor<9x8xf32>, tensor<1x8xi64>) -> tensor<1x8x8xf32>
    return %0 : tensor<1x8x8xf32>
  }
}

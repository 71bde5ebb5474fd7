// Attention works on a part of a die's heads at a time where it is told to, or where keys and values would take much of SRAM; what cannot be cut stays whole, and a remark says so.
// RUN: %hecaton-opt --hct-block-attention --split-input-file %s 2> %t.err | FileCheck %s
// RUN: FileCheck --check-prefix=SAID %s < %t.err

// Four heads in two runs, of which each column of dies has one: of each run the first head, then the second. What is added to the scores by head is cut likewise.
// CHECK-LABEL: func.func @heads
// CHECK-SAME: (%[[Q:[a-z0-9]+]]: tensor<3x4x2x8xf32> {{.*}}, %[[K:[a-z0-9]+]]: tensor<3x4x2x8xf32> {{.*}}, %[[V:[a-z0-9]+]]: tensor<3x2x4x8xf32> {{.*}}, %[[S:[a-z0-9]+]]: tensor<4x1x2xf32>
// CHECK-NEXT: %[[QR:.+]] = "hct_graph.reshape"(%[[Q]]) : {{.*}} -> tensor<3x2x2x2x8xf32>
// CHECK-NEXT: %[[QS:.+]] = "hct_graph.slice"(%[[QR]]) {starts = array<i64: 0, 0, 0, 0, 0>, steps = array<i64: 1, 1, 1, 1, 1>} : {{.*}} -> tensor<3x2x1x2x8xf32>
// CHECK-NEXT: %[[Q0:.+]] = "hct_graph.reshape"(%[[QS]]) : {{.*}} -> tensor<3x2x2x8xf32>
// CHECK: %[[K0:.+]] = "hct_graph.reshape"({{.*}}) : (tensor<3x2x1x2x8xf32>) -> tensor<3x2x2x8xf32>
// CHECK: %[[V0:.+]] = "hct_graph.reshape"({{.*}}) : (tensor<3x2x2x1x8xf32>) -> tensor<3x2x2x8xf32>
// CHECK-NEXT: %[[S0:.+]] = "hct_graph.contract"(%[[Q0]], %[[K0]]) {{.*}} -> tensor<3x2x2x2xf32>
// CHECK: %[[B0:.+]] = "hct_graph.reshape"({{.*}}) : (tensor<2x1x1x2xf32>) -> tensor<2x1x2xf32>
// CHECK-NEXT: %[[A0:.+]] = "hct_graph.map2"(%[[S0]], %[[B0]]) {fn = "add"}
// CHECK-NEXT: %[[P0:.+]] = "hct_graph.softmax"(%[[A0]])
// CHECK-NEXT: %[[Y0:.+]] = "hct_graph.contract"(%[[P0]], %[[V0]]) {{.*}} -> tensor<3x2x2x8xf32>
// CHECK: "hct_graph.slice"({{.*}}) {starts = array<i64: 0, 0, 1, 0, 0>, {{.*}} -> tensor<3x2x1x2x8xf32>
// CHECK: %[[Y1:.+]] = "hct_graph.contract"({{.*}}) {{.*}}spec = "abmk,akbn->abmn"} : {{.*}} -> tensor<3x2x2x8xf32>
// CHECK-NEXT: %[[R0:.+]] = "hct_graph.reshape"(%[[Y0]]) : {{.*}} -> tensor<3x2x1x2x8xf32>
// CHECK-NEXT: %[[R1:.+]] = "hct_graph.reshape"(%[[Y1]]) : {{.*}} -> tensor<3x2x1x2x8xf32>
// CHECK-NEXT: %[[ALL:.+]] = "hct_graph.concat"(%[[R0]], %[[R1]]) {axis = 2 : i64{{.*}} -> tensor<3x2x2x2x8xf32>
// CHECK-NEXT: %[[Y:.+]] = "hct_graph.reshape"(%[[ALL]]) : {{.*}} -> tensor<3x4x2x8xf32>
// CHECK-NEXT: return %[[Y]]
module attributes {hct.options = {"head-blocks" = "2", "attention-blocks" = "1"}} {
  func.func @heads(%q: tensor<3x4x2x8xf32> {hct.name = "q", hct.role = "input"}, %k: tensor<3x4x2x8xf32> {hct.name = "k", hct.role = "input"}, %v: tensor<3x2x4x8xf32> {hct.name = "v", hct.role = "input"}, %s: tensor<4x1x2xf32> {hct.name = "s", hct.role = "input"})
      -> (tensor<3x4x2x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%q, %k) {spec = "abmk,abnk->abmn"} : (tensor<3x4x2x8xf32>, tensor<3x4x2x8xf32>) -> tensor<3x4x2x2xf32>
    %1 = "hct_graph.map2"(%0, %s) {fn = "add"} : (tensor<3x4x2x2xf32>, tensor<4x1x2xf32>) -> tensor<3x4x2x2xf32>
    %2 = "hct_graph.softmax"(%1) {axis = 3 : i64} : (tensor<3x4x2x2xf32>) -> tensor<3x4x2x2xf32>
    %3 = "hct_graph.contract"(%2, %v) {spec = "abmk,akbn->abmn"} : (tensor<3x4x2x2xf32>, tensor<3x2x4x8xf32>) -> tensor<3x4x2x8xf32>
    return %3 : tensor<3x4x2x8xf32>
  }
}
// -----
// Keys of a die's twelve heads are 12 x 2 x 8 x 4 = 768 bytes; five times that is more than 5/8 of 2,048 bytes, and so is half of it; a third is 1,280, as much as may be.
// CHECK-LABEL: func.func @auto
// CHECK-COUNT-3: "hct_graph.softmax"{{.*}} -> tensor<1x4x2x2xf32>
// CHECK: "hct_graph.concat"
// CHECK-NOT: "hct_graph.softmax"
module attributes {hct.package = "<package name='p' rows='1' cols='1'><die clock_hz='1e9'><mxu arrays='8' rows='32' cols='32' dataflow='output-stationary' f32_rate='0.25'/><vpu lanes='256' transcendental_cycles='4'/><sram bytes='2048' bytes_per_cycle='2048'/><queue depth='16'/></die><link bandwidth_bytes_per_s='64e9' latency_s='8e-9' bypass_latency_s='4e-9' energy_j_per_bit='0.6e-12'/><dram kind='DDR5-6400' channels='4' channel_bandwidth_bytes_per_s='51.2e9' efficiency='0.92' latency_s='60e-9' channel_capacity_bytes='68719476736' energy_j_per_bit='14e-12'/><energy mac_f32_j='2.2e-12' mac_bf16_j='0.6e-12' vector_op_j='1.5e-12' sram_j_per_byte='0.8e-12' static_w_per_die='0.5'/></package>", hct.options = {"attention-blocks" = "1"}} {
  func.func @auto(%q: tensor<1x12x2x8xf32> {hct.name = "q", hct.role = "input"}, %k: tensor<1x12x2x8xf32> {hct.name = "k", hct.role = "input"}) -> (tensor<1x12x2x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%q, %k) {spec = "abmk,abnk->abmn"} : (tensor<1x12x2x8xf32>, tensor<1x12x2x8xf32>) -> tensor<1x12x2x2xf32>
    %1 = "hct_graph.softmax"(%0) {axis = 3 : i64} : (tensor<1x12x2x2xf32>) -> tensor<1x12x2x2xf32>
    %2 = "hct_graph.contract"(%1, %k) {spec = "abmk,abkn->abmn"} : (tensor<1x12x2x2xf32>, tensor<1x12x2x8xf32>) -> tensor<1x12x2x8xf32>
    return %2 : tensor<1x12x2x8xf32>
  }
}
// -----
// Three heads do not lie evenly on two columns.
// CHECK-LABEL: func.func @uneven
// CHECK-NOT: "hct_graph.reshape"
// SAID: remark: --head-blocks=3: this attention is not cut by heads, of which a die has 1 that may be
module attributes {hct.options = {"head-blocks" = "3", "attention-blocks" = "1"}} {
  func.func @uneven(%q: tensor<1x3x2x8xf32> {hct.name = "q", hct.role = "input"}, %k: tensor<1x3x2x8xf32> {hct.name = "k", hct.role = "input"}) -> (tensor<1x3x2x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%q, %k) {spec = "abmk,abnk->abmn"} : (tensor<1x3x2x8xf32>, tensor<1x3x2x8xf32>) -> tensor<1x3x2x2xf32>
    %1 = "hct_graph.softmax"(%0) {axis = 3 : i64} : (tensor<1x3x2x2xf32>) -> tensor<1x3x2x2xf32>
    %2 = "hct_graph.contract"(%1, %k) {spec = "abmk,abkn->abmn"} : (tensor<1x3x2x2xf32>, tensor<1x3x2x8xf32>) -> tensor<1x3x2x8xf32>
    return %2 : tensor<1x3x2x8xf32>
  }
}
// -----
// Heads that are repeated for groups of query heads are left to hct-group-heads.
// CHECK-LABEL: func.func @repeated
// CHECK-COUNT-1: "hct_graph.softmax"{{.*}} -> tensor<1x4x2x2xf32>
// SAID: remark: --head-blocks=2: this attention is not cut by heads, of which a die has 1 that may be
module attributes {hct.options = {"head-blocks" = "2", "attention-blocks" = "1"}} {
  func.func @repeated(%q: tensor<1x4x2x8xf32> {hct.name = "q", hct.role = "input"}, %k: tensor<1x2x1x2x8xf32> {hct.name = "k", hct.role = "input"}) -> (tensor<1x4x2x8xf32> {hct.name = "y", hct.role = "output"}) {
    %many = "hct_graph.broadcast"(%k) : (tensor<1x2x1x2x8xf32>) -> tensor<1x2x2x2x8xf32>
    %keys = "hct_graph.reshape"(%many) : (tensor<1x2x2x2x8xf32>) -> tensor<1x4x2x8xf32>
    %0 = "hct_graph.contract"(%q, %keys) {spec = "abmk,abnk->abmn"} : (tensor<1x4x2x8xf32>, tensor<1x4x2x8xf32>) -> tensor<1x4x2x2xf32>
    %1 = "hct_graph.softmax"(%0) {axis = 3 : i64} : (tensor<1x4x2x2xf32>) -> tensor<1x4x2x2xf32>
    %2 = "hct_graph.contract"(%1, %keys) {spec = "abmk,abkn->abmn"} : (tensor<1x4x2x2xf32>, tensor<1x4x2x8xf32>) -> tensor<1x4x2x8xf32>
    return %2 : tensor<1x4x2x8xf32>
  }
}
// -----
// What drops probabilities would number them otherwise.
// CHECK-LABEL: func.func @dropped
// CHECK-COUNT-1: "hct_graph.softmax"{{.*}} -> tensor<1x4x2x2xf32>
// SAID: remark: --head-blocks=2: this attention is not cut by heads, of which a die has 1 that may be
module attributes {hct.options = {"head-blocks" = "2", "attention-blocks" = "1"}} {
  func.func @dropped(%q: tensor<1x4x2x8xf32> {hct.name = "q", hct.role = "input"}, %k: tensor<1x4x2x8xf32> {hct.name = "k", hct.role = "input"}) -> (tensor<1x4x2x8xf32> {hct.name = "y", hct.role = "output"}) {
    %seed = "hct_graph.constant"() {value = dense<0> : tensor<i64>} : () -> tensor<i64>
    %step = "hct_graph.constant"() {value = dense<0.0> : tensor<f32>} : () -> tensor<f32>
    %0 = "hct_graph.contract"(%q, %k) {spec = "abmk,abnk->abmn"} : (tensor<1x4x2x8xf32>, tensor<1x4x2x8xf32>) -> tensor<1x4x2x2xf32>
    %1 = "hct_graph.softmax"(%0) {axis = 3 : i64} : (tensor<1x4x2x2xf32>) -> tensor<1x4x2x2xf32>
    %2 = "hct_graph.dropout"(%1, %seed, %step) {ratio = 0.5, stream = 3 : i64, index = array<i64: 16, 4, 2, 1, 0>} : (tensor<1x4x2x2xf32>, tensor<i64>, tensor<f32>) -> tensor<1x4x2x2xf32>
    %3 = "hct_graph.contract"(%2, %k) {spec = "abmk,abkn->abmn"} : (tensor<1x4x2x2xf32>, tensor<1x4x2x8xf32>) -> tensor<1x4x2x8xf32>
    return %3 : tensor<1x4x2x8xf32>
  }
}

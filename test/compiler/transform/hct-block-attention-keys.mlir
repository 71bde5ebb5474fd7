// Attention of a block of queries works in blocks of keys with a running softmax; its gradient is that of probabilities that only backward makes, again.
// RUN: %hecaton-opt --hct-block-attention --split-input-file %s 2>%t.err | FileCheck %s
// RUN: FileCheck --check-prefix=SAID %s < %t.err

// Forward only. The second block of queries reads both blocks of keys: its sum and product are scaled where the second block has a larger score.
// CHECK-LABEL: func.func @causal
// CHECK-SAME: (%[[Q:[a-z0-9]+]]: tensor<3x4x8xf32> {{.*}}, %[[K:[a-z0-9]+]]: tensor<3x4x8xf32> {{.*}}, %[[V:[a-z0-9]+]]: tensor<3x4x8xf32>
// CHECK-NEXT: %[[LOWEST:.+]] = "hct_graph.constant"() {value = dense<-3.40282347E+38> : tensor<f32>}
// CHECK-NEXT: %[[MASK:.+]] = "hct_graph.constant"() {value = dense<{{\[\[}}0.000000e+00, 0xFF800000], [0.000000e+00, 0.000000e+00]]> : tensor<2x2xf32>}
// CHECK-NEXT: %[[Q0:.+]] = "hct_graph.slice"(%[[Q]]) {starts = array<i64: 0, 0, 0>
// CHECK-NEXT: %[[K0:.+]] = "hct_graph.slice"(%[[K]]) {hct.whole = 1 : i64, starts = array<i64: 0, 0, 0>{{.*}} -> tensor<3x2x8xf32>
// CHECK-NEXT: %[[S:.+]] = "hct_graph.contract"(%[[Q0]], %[[K0]]) {hct.pairs = array<i64: 3, 4>, spec = "amk,ank->amn"}
// CHECK-NEXT: %[[A:.+]] = "hct_graph.map2"(%[[S]], %[[MASK]]) {fn = "add"}
// CHECK-NEXT: %[[OWN:.+]] = "hct_graph.reduce"(%[[A]]) {axes = array<i64: 2>, kind = "max"}
// CHECK-NEXT: %[[M:.+]] = "hct_graph.map2"(%[[OWN]], %[[LOWEST]]) {fn = "max"}
// CHECK-NEXT: %[[E:.+]] = "hct_graph.map2"(%[[A]], %[[M]]) {fn = "exp_sub"}
// CHECK-NEXT: %[[L:.+]] = "hct_graph.reduce"(%[[E]]) {axes = array<i64: 2>, kind = "sum"}
// CHECK-NEXT: %[[V0:.+]] = "hct_graph.slice"(%[[V]]) {hct.whole = 1 : i64, starts = array<i64: 0, 0, 0>{{.*}} -> tensor<3x2x8xf32>
// CHECK-NEXT: %[[U:.+]] = "hct_graph.contract"(%[[E]], %[[V0]]) {hct.pairs = array<i64: 3, 4>, hct.wide, spec = "amn,ank->amk"}
// CHECK-NEXT: %[[Y0:.+]] = "hct_graph.map2"(%[[U]], %[[L]]) {fn = "div"}
// CHECK-NEXT: %[[Q1:.+]] = "hct_graph.slice"(%[[Q]]) {starts = array<i64: 0, 2, 0>
// CHECK-NEXT: %[[SA:.+]] = "hct_graph.contract"(%[[Q1]], %[[K0]]) {spec = "amk,ank->amn"}
// CHECK-NEXT: %[[OA:.+]] = "hct_graph.reduce"(%[[SA]]) {{.*}}kind = "max"
// CHECK-NEXT: %[[MA:.+]] = "hct_graph.map2"(%[[OA]], %[[LOWEST]]) {fn = "max"}
// CHECK-NEXT: %[[EA:.+]] = "hct_graph.map2"(%[[SA]], %[[MA]]) {fn = "exp_sub"}
// CHECK-NEXT: %[[LA:.+]] = "hct_graph.reduce"(%[[EA]]) {{.*}}kind = "sum"
// CHECK-NEXT: %[[UA:.+]] = "hct_graph.contract"(%[[EA]], %[[V0]]) {hct.wide, spec = "amn,ank->amk"}
// CHECK-NEXT: %[[K1:.+]] = "hct_graph.slice"(%[[K]]) {hct.whole = 1 : i64, starts = array<i64: 0, 2, 0>
// CHECK-NEXT: %[[SB:.+]] = "hct_graph.contract"(%[[Q1]], %[[K1]]) {hct.pairs = array<i64: 3, 4>
// CHECK-NEXT: %[[AB:.+]] = "hct_graph.map2"(%[[SB]], %[[MASK]]) {fn = "add"}
// CHECK-NEXT: %[[OB:.+]] = "hct_graph.reduce"(%[[AB]]) {{.*}}kind = "max"
// CHECK-NEXT: %[[MB:.+]] = "hct_graph.map2"(%[[OB]], %[[MA]]) {fn = "max"}
// CHECK-NEXT: %[[EB:.+]] = "hct_graph.map2"(%[[AB]], %[[MB]]) {fn = "exp_sub"}
// CHECK-NEXT: %[[LB:.+]] = "hct_graph.reduce"(%[[EB]]) {{.*}}kind = "sum"
// CHECK-NEXT: %[[V1:.+]] = "hct_graph.slice"(%[[V]]) {hct.whole = 1 : i64, starts = array<i64: 0, 2, 0>
// CHECK-NEXT: %[[UB:.+]] = "hct_graph.contract"(%[[EB]], %[[V1]]) {hct.pairs = array<i64: 3, 4>, hct.wide, spec = "amn,ank->amk"}
// CHECK-NEXT: %[[SCALE:.+]] = "hct_graph.map2"(%[[MA]], %[[MB]]) {fn = "exp_sub"}
// CHECK-NEXT: %[[LS:.+]] = "hct_graph.map2"(%[[LA]], %[[SCALE]]) {fn = "mul"}
// CHECK-NEXT: %[[LN:.+]] = "hct_graph.map2"(%[[LS]], %[[LB]]) {fn = "add"}
// CHECK-NEXT: %[[US:.+]] = "hct_graph.map2"(%[[UA]], %[[SCALE]]) {fn = "mul", hct.wide}
// CHECK-NEXT: %[[UN:.+]] = "hct_graph.map2"(%[[US]], %[[UB]]) {fn = "add", hct.wide}
// CHECK-NEXT: %[[Y1:.+]] = "hct_graph.map2"(%[[UN]], %[[LN]]) {fn = "div"}
// CHECK-NEXT: %[[Y:.+]] = "hct_graph.concat"(%[[Y0]], %[[Y1]]) {axis = 1 : i64
// CHECK-NEXT: return %[[Y]]
module attributes {hct.options = {"attention-blocks" = "2", "key-blocks" = "2", "mode" = "infer"}} {
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
// In training, beside the result of all queries: probabilities by the logarithm of the sum, block by block, and what has the gradient. A block of keys that one of queries needs in part is cut from
// the one that the others share.
// CHECK-LABEL: func.func @trained
// CHECK-SAME: %[[K:[a-z0-9]+]]: tensor<3x4x8xf32> {hct.name = "k"
// CHECK: %[[K0:.+]] = "hct_graph.slice"(%[[K]]) {hct.whole = 1 : i64, starts = array<i64: 0, 0, 0>{{.*}} -> tensor<3x2x8xf32>
// CHECK-NEXT: "hct_graph.slice"(%[[K0]]) {starts = array<i64: 0, 0, 0>{{.*}} -> tensor<3x1x8xf32>
// CHECK: %[[Y:.+]] = "hct_graph.map2"({{.*}}) {fn = "div"}
// CHECK-NEXT: %[[LOG:.+]] = "hct_graph.map1"({{.*}}) {fn = "log"}
// CHECK-NEXT: %[[LSE:.+]] = "hct_graph.map2"({{.*}}, %[[LOG]]) {fn = "add"}
// CHECK-NEXT: %[[LD:.+]] = "hct_graph.detach"(%[[LSE]])
// CHECK-NEXT: %[[YD:.+]] = "hct_graph.detach"(%[[Y]])
// CHECK-NEXT: %[[KA:.+]] = "hct_graph.slice"(%[[K0]]) {starts = array<i64: 0, 0, 0>{{.*}} -> tensor<3x1x8xf32>
// CHECK-NEXT: %[[S:.+]] = "hct_graph.contract"(%{{.*}}, %[[KA]]) {hct.recomputed, spec = "amk,ank->amn"} : {{.*}} -> tensor<3x1x1xf32>
// CHECK-NEXT: %[[P:.+]] = "hct_graph.map2"(%[[S]], %[[LD]]) {fn = "exp_sub", hct.recomputed}
// CHECK-NEXT: %[[Z:.+]] = "hct_graph.reduce"(%[[P]]) {axes = array<i64: 2>, hct.recomputed, kind = "sum"}
// CHECK: %[[T:.+]] = "hct_graph.contract"(%[[P]], %{{.*}}) {hct.recomputed, spec = "amn,ank->amk"}
// CHECK-NEXT: %[[ZY:.+]] = "hct_graph.map2"(%[[YD]], %[[Z]]) {fn = "mul", hct.recomputed}
// CHECK-NEXT: %[[ZERO:.+]] = "hct_graph.map2"(%[[T]], %[[ZY]]) {fn = "sub", hct.recomputed}
// CHECK-NEXT: "hct_graph.detach"(%[[Y]], %[[ZERO]])
// CHECK: "hct_graph.contract"({{.*}}) {hct.recomputed, spec = "amk,ank->amn"} : {{.*}} -> tensor<3x1x2xf32>
// CHECK-NOT: hct_graph.softmax
module attributes {hct.options = {"attention-blocks" = "4", "key-blocks" = "2"}} {
  func.func @trained(%q: tensor<3x4x8xf32> {hct.name = "q", hct.role = "input"}, %k: tensor<3x4x8xf32> {hct.name = "k", hct.role = "input"}, %v: tensor<3x4x8xf32> {hct.name = "v", hct.role = "input"})
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
// A number a row that stands beside a result with other dimensions between is reshaped to it.
// CHECK-LABEL: func.func @between
// CHECK: %[[L:.+]] = "hct_graph.reduce"(%{{.*}}) {axes = array<i64: 2>, kind = "sum"} : {{.*}} -> tensor<3x4x1xf32>
// CHECK: %[[R:.+]] = "hct_graph.reshape"(%{{.*}}) : (tensor<3x4x1xf32>) -> tensor<3x1x4xf32>
// CHECK: "hct_graph.map2"(%{{.*}}, %[[R]]) {fn = "mul", hct.wide} : (tensor<3x8x4xf32>, tensor<3x1x4xf32>) -> tensor<3x8x4xf32>
module attributes {hct.options = {"key-blocks" = "2", "mode" = "infer"}} {
  func.func @between(%q: tensor<3x4x8xf32> {hct.name = "q", hct.role = "input"}) -> (tensor<3x8x4xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%q, %q) {spec = "amk,ank->amn"} : (tensor<3x4x8xf32>, tensor<3x4x8xf32>) -> tensor<3x4x4xf32>
    %1 = "hct_graph.softmax"(%0) {axis = 2 : i64} : (tensor<3x4x4xf32>) -> tensor<3x4x4xf32>
    %2 = "hct_graph.contract"(%1, %q) {spec = "amn,ank->akm"} : (tensor<3x4x4xf32>, tensor<3x4x8xf32>) -> tensor<3x8x4xf32>
    return %2 : tensor<3x8x4xf32>
  }
}
// -----
// What is not linear in the probabilities, or has other rows than they have, keeps its softmax of all keys.
// CHECK-LABEL: func.func @others
// CHECK-COUNT-2: "hct_graph.softmax"
// SAID: remark: --key-blocks=2: this attention is not cut by keys: an operator after its softmax is not linear
// SAID: remark: --key-blocks=2: this attention is not cut by keys: its rows are not those of its result
module attributes {hct.options = {"key-blocks" = "2"}} {
  func.func @others(%q: tensor<3x4x8xf32> {hct.name = "q", hct.role = "input"}) -> (tensor<3x4x8xf32> {hct.name = "y", hct.role = "output"}, tensor<4x3x8xf32> {hct.name = "z", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%q, %q) {spec = "amk,ank->amn"} : (tensor<3x4x8xf32>, tensor<3x4x8xf32>) -> tensor<3x4x4xf32>
    %1 = "hct_graph.softmax"(%0) {axis = 2 : i64} : (tensor<3x4x4xf32>) -> tensor<3x4x4xf32>
    %2 = "hct_graph.map1"(%1) {fn = "sqrt"} : (tensor<3x4x4xf32>) -> tensor<3x4x4xf32>
    %3 = "hct_graph.contract"(%2, %q) {spec = "amn,ank->amk"} : (tensor<3x4x4xf32>, tensor<3x4x8xf32>) -> tensor<3x4x8xf32>
    %4 = "hct_graph.contract"(%q, %q) {spec = "amk,ank->amn"} : (tensor<3x4x8xf32>, tensor<3x4x8xf32>) -> tensor<3x4x4xf32>
    %5 = "hct_graph.softmax"(%4) {axis = 2 : i64} : (tensor<3x4x4xf32>) -> tensor<3x4x4xf32>
    %6 = "hct_graph.contract"(%5, %q) {spec = "amn,ank->mak"} : (tensor<3x4x4xf32>, tensor<3x4x8xf32>) -> tensor<4x3x8xf32>
    return %3, %6 : tensor<3x4x8xf32>, tensor<4x3x8xf32>
  }
}
// -----
// By itself there is one block of keys where scores of the most blocks of queries are small: 256 KiB here, in SRAM of 32 MiB.
// CHECK-LABEL: func.func @small
// CHECK: "hct_graph.softmax"
module {
  func.func @small(%q: tensor<1x1024x8xf32> {hct.name = "q", hct.role = "input"}) -> (tensor<1x1024x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%q, %q) {spec = "amk,ank->amn"} : (tensor<1x1024x8xf32>, tensor<1x1024x8xf32>) -> tensor<1x1024x1024xf32>
    %1 = "hct_graph.softmax"(%0) {axis = 2 : i64} : (tensor<1x1024x1024xf32>) -> tensor<1x1024x1024xf32>
    %2 = "hct_graph.contract"(%1, %q) {spec = "amn,ank->amk"} : (tensor<1x1024x1024xf32>, tensor<1x1024x8xf32>) -> tensor<1x1024x8xf32>
    return %2 : tensor<1x1024x8xf32>
  }
}
// -----
// Where they take more than a quarter of SRAM, as many as keep them within a sixteenth: of 4 queries and 64 keys 1 KiB are eight times that.
// CHECK-LABEL: func.func @large
// CHECK-COUNT-128: "hct_graph.reduce"({{.*}}kind = "max"} : (tensor<1x4x8xf32>) -> tensor<1x4x1xf32>
// CHECK-NOT: kind = "max"
module attributes {hct.package = "<package name='p' rows='1' cols='1'><die clock_hz='1e9'><mxu arrays='8' rows='32' cols='32' dataflow='output-stationary' f32_rate='0.25'/><vpu lanes='256' transcendental_cycles='4'/><sram bytes='2048' bytes_per_cycle='2048'/><queue depth='16'/></die><link bandwidth_bytes_per_s='64e9' latency_s='8e-9' bypass_latency_s='4e-9' energy_j_per_bit='0.6e-12'/><dram kind='DDR5-6400' channels='4' channel_bandwidth_bytes_per_s='51.2e9' efficiency='0.92' latency_s='60e-9' channel_capacity_bytes='68719476736' energy_j_per_bit='14e-12'/><energy mac_f32_j='2.2e-12' mac_bf16_j='0.6e-12' vector_op_j='1.5e-12' sram_j_per_byte='0.8e-12' static_w_per_die='0.5'/></package>", hct.options = {"mode" = "infer"}} {
  func.func @large(%q: tensor<1x64x8xf32> {hct.name = "q", hct.role = "input"}) -> (tensor<1x64x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%q, %q) {spec = "amk,ank->amn"} : (tensor<1x64x8xf32>, tensor<1x64x8xf32>) -> tensor<1x64x64xf32>
    %1 = "hct_graph.softmax"(%0) {axis = 2 : i64} : (tensor<1x64x64xf32>) -> tensor<1x64x64xf32>
    %2 = "hct_graph.contract"(%1, %q) {spec = "amn,ank->amk"} : (tensor<1x64x64xf32>, tensor<1x64x8xf32>) -> tensor<1x64x8xf32>
    return %2 : tensor<1x64x8xf32>
  }
}
// -----
// Also where a mask comes at run time.
// CHECK-LABEL: func.func @large_given
// CHECK-COUNT-128: "hct_graph.reduce"({{.*}}kind = "max"} : (tensor<1x4x8xf32>) -> tensor<1x4x1xf32>
// CHECK-NOT: kind = "max"
module attributes {hct.package = "<package name='p' rows='1' cols='1'><die clock_hz='1e9'><mxu arrays='8' rows='32' cols='32' dataflow='output-stationary' f32_rate='0.25'/><vpu lanes='256' transcendental_cycles='4'/><sram bytes='2048' bytes_per_cycle='2048'/><queue depth='16'/></die><link bandwidth_bytes_per_s='64e9' latency_s='8e-9' bypass_latency_s='4e-9' energy_j_per_bit='0.6e-12'/><dram kind='DDR5-6400' channels='4' channel_bandwidth_bytes_per_s='51.2e9' efficiency='0.92' latency_s='60e-9' channel_capacity_bytes='68719476736' energy_j_per_bit='14e-12'/><energy mac_f32_j='2.2e-12' mac_bf16_j='0.6e-12' vector_op_j='1.5e-12' sram_j_per_byte='0.8e-12' static_w_per_die='0.5'/></package>", hct.options = {"mode" = "infer"}} {
  func.func @large_given(%q: tensor<1x64x8xf32> {hct.name = "q", hct.role = "input"}, %m: tensor<1x1x64xf32> {hct.name = "m", hct.role = "input"}) -> (tensor<1x64x8xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%q, %q) {spec = "amk,ank->amn"} : (tensor<1x64x8xf32>, tensor<1x64x8xf32>) -> tensor<1x64x64xf32>
    %3 = "hct_graph.map2"(%0, %m) {fn = "add"} : (tensor<1x64x64xf32>, tensor<1x1x64xf32>) -> tensor<1x64x64xf32>
    %1 = "hct_graph.softmax"(%3) {axis = 2 : i64} : (tensor<1x64x64xf32>) -> tensor<1x64x64xf32>
    %2 = "hct_graph.contract"(%1, %q) {spec = "amn,ank->amk"} : (tensor<1x64x64xf32>, tensor<1x64x8xf32>) -> tensor<1x64x8xf32>
    return %2 : tensor<1x64x8xf32>
  }
}
// -----
// Keys in front of a window are left out as those behind it are: each block of queries reads one block of keys.
// CHECK-LABEL: func.func @window
// CHECK-COUNT-2: "hct_graph.contract"({{.*}}) {hct.pairs = array<i64: 3, 4>, spec = "amk,ank->amn"}
// CHECK-NOT: spec = "amk,ank->amn"
module attributes {hct.options = {"attention-blocks" = "2", "key-blocks" = "2", "mode" = "infer"}} {
  func.func @window(%q: tensor<3x4x8xf32> {hct.name = "q", hct.role = "input"}) -> (tensor<3x4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %w = "hct_graph.constant"() {value = dense<[[0.0, -1.0e9, -1.0e9, -1.0e9], [0.0, 0.0, -1.0e9, -1.0e9], [-1.0e9, -1.0e9, 0.0, -1.0e9], [-1.0e9, -1.0e9, 0.0, 0.0]]> : tensor<4x4xf32>} : () -> tensor<4x4xf32>
    %0 = "hct_graph.contract"(%q, %q) {spec = "amk,ank->amn"} : (tensor<3x4x8xf32>, tensor<3x4x8xf32>) -> tensor<3x4x4xf32>
    %1 = "hct_graph.map2"(%0, %w) {fn = "add"} : (tensor<3x4x4xf32>, tensor<4x4xf32>) -> tensor<3x4x4xf32>
    %2 = "hct_graph.softmax"(%1) {axis = 2 : i64} : (tensor<3x4x4xf32>) -> tensor<3x4x4xf32>
    %3 = "hct_graph.contract"(%2, %q) {spec = "amn,ank->amk"} : (tensor<3x4x4xf32>, tensor<3x4x8xf32>) -> tensor<3x4x8xf32>
    return %3 : tensor<3x4x8xf32>
  }
}
// -----
// A mask that comes at run time may leave a row no key: what it is made of, and what it is added to, stays f32, and backward takes what the logarithm has lost beside such numbers as a factor of rows.
// CHECK-LABEL: func.func @given
// CHECK-SAME: %[[M:[a-z0-9]+]]: tensor<3x1x4xf32> {hct.name = "m"
// CHECK: %[[FAR:.+]] = "hct_graph.map2"(%[[M]], %{{.*}}) {fn = "mul", hct.wide}
// CHECK: %[[S:.+]] = "hct_graph.contract"({{.*}}) {spec = "amk,ank->amn"} : {{.*}} -> tensor<3x4x2xf32>
// CHECK-NEXT: %[[F0:.+]] = "hct_graph.slice"(%[[FAR]]) {{.*}} -> tensor<3x1x2xf32>
// CHECK-NEXT: "hct_graph.map2"(%[[S]], %[[F0]]) {fn = "add", hct.wide}
// CHECK: %[[HIGHEST:.+]] = "hct_graph.map2"(%{{.*}}, %{{.*}}) {fn = "max"}
// CHECK: %[[HIGHEST:.+]] = "hct_graph.map2"(%{{.*}}, %{{.*}}) {fn = "max"}
// CHECK: %[[SUM:.+]] = "hct_graph.map2"({{.*}}) {fn = "add"} : (tensor<3x4x1xf32>, tensor<3x4x1xf32>)
// CHECK: %[[LOG:.+]] = "hct_graph.map1"(%[[SUM]]) {fn = "log"}
// CHECK-NEXT: %[[LSE:.+]] = "hct_graph.map2"(%[[HIGHEST]], %[[LOG]]) {fn = "add"}
// CHECK-NEXT: %[[LOST:.+]] = "hct_graph.map2"(%[[LSE]], %[[HIGHEST]]) {fn = "exp_sub"}
// CHECK-NEXT: %[[FACTOR:.+]] = "hct_graph.map2"(%[[LOST]], %[[SUM]]) {fn = "div"}
// CHECK-NEXT: %[[ROWS:.+]] = "hct_graph.detach"(%[[FACTOR]])
// CHECK: %[[ZERO:.+]] = "hct_graph.map2"({{.*}}) {fn = "sub", hct.recomputed}
// CHECK-NEXT: %[[SCALED:.+]] = "hct_graph.map2"(%[[ZERO]], %[[ROWS]]) {fn = "mul", hct.recomputed}
// CHECK-NEXT: "hct_graph.detach"(%{{.*}}, %[[SCALED]])
// CHECK-NOT: hct_graph.softmax
module attributes {hct.options = {"key-blocks" = "2"}} {
  func.func @given(%q: tensor<3x4x8xf32> {hct.name = "q", hct.role = "input"}, %m: tensor<3x1x4xf32> {hct.name = "m", hct.role = "input"}) -> (tensor<3x4x8xf32> {hct.name = "y", hct.role = "output"}) {
    %low = "hct_graph.constant"() {value = dense<-1.0e9> : tensor<f32>} : () -> tensor<f32>
    %far = "hct_graph.map2"(%m, %low) {fn = "mul"} : (tensor<3x1x4xf32>, tensor<f32>) -> tensor<3x1x4xf32>
    %0 = "hct_graph.contract"(%q, %q) {spec = "amk,ank->amn"} : (tensor<3x4x8xf32>, tensor<3x4x8xf32>) -> tensor<3x4x4xf32>
    %1 = "hct_graph.map2"(%0, %far) {fn = "add"} : (tensor<3x4x4xf32>, tensor<3x1x4xf32>) -> tensor<3x4x4xf32>
    %2 = "hct_graph.softmax"(%1) {axis = 2 : i64} : (tensor<3x4x4xf32>) -> tensor<3x4x4xf32>
    %3 = "hct_graph.contract"(%2, %q) {spec = "amn,ank->amk"} : (tensor<3x4x4xf32>, tensor<3x4x8xf32>) -> tensor<3x4x8xf32>
    return %3 : tensor<3x4x8xf32>
  }
}
// -----
// A mask that is an initializer is a constant where it is not trained: blocks that it excludes are left out. Of one that is trained each block has its part.
// CHECK-LABEL: func.func @initializers
// CHECK-SAME: %[[FROZEN:[a-z0-9]+]]: tensor<4x4xf32> {hct.data = {{.*}}hct.name = "frozen"
// CHECK-SAME: %[[TRAINED:[a-z0-9]+]]: tensor<4x4xf32> {hct.data = {{.*}}hct.name = "trained"
// CHECK-NOT: %[[FROZEN]]
// CHECK-COUNT-3: "hct_graph.contract"({{.*}}) {{{(hct.pairs = array<i64: 3, 4>, )?}}spec = "amk,ank->amn"}
// CHECK: "hct_graph.contract"({{.*}}) {spec = "amk,ank->amn"}
// CHECK-NEXT: "hct_graph.slice"(%[[TRAINED]])
// CHECK-COUNT-3: "hct_graph.contract"({{.*}}) {spec = "amk,ank->amn"}
// CHECK: "hct_graph.slice"(%[[TRAINED]]) {hct.recomputed
module attributes {hct.options = {"attention-blocks" = "2", "key-blocks" = "2", "trainable" = "+t*"}} {
  func.func @initializers(%q: tensor<3x4x8xf32> {hct.name = "q", hct.role = "input"}, %a: tensor<4x4xf32> {hct.data = dense<[[0.0, 0xFF800000, 0xFF800000, 0xFF800000], [0.0, 0.0, 0xFF800000, 0xFF800000], [0.0, 0.0, 0.0, 0xFF800000], [0.0, 0.0, 0.0, 0.0]]> : tensor<4x4xf32>, hct.name = "frozen", hct.role = "param"}, %b: tensor<4x4xf32> {hct.data = dense<[[0.0, 0xFF800000, 0xFF800000, 0xFF800000], [0.0, 0.0, 0xFF800000, 0xFF800000], [0.0, 0.0, 0.0, 0xFF800000], [0.0, 0.0, 0.0, 0.0]]> : tensor<4x4xf32>, hct.name = "trained", hct.role = "param"})
      -> (tensor<3x4x8xf32> {hct.name = "y", hct.role = "output"}, tensor<3x4x8xf32> {hct.name = "z", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%q, %q) {spec = "amk,ank->amn"} : (tensor<3x4x8xf32>, tensor<3x4x8xf32>) -> tensor<3x4x4xf32>
    %1 = "hct_graph.map2"(%0, %a) {fn = "add"} : (tensor<3x4x4xf32>, tensor<4x4xf32>) -> tensor<3x4x4xf32>
    %2 = "hct_graph.softmax"(%1) {axis = 2 : i64} : (tensor<3x4x4xf32>) -> tensor<3x4x4xf32>
    %3 = "hct_graph.contract"(%2, %q) {spec = "amn,ank->amk"} : (tensor<3x4x4xf32>, tensor<3x4x8xf32>) -> tensor<3x4x8xf32>
    %4 = "hct_graph.contract"(%q, %q) {spec = "amk,ank->amn"} : (tensor<3x4x8xf32>, tensor<3x4x8xf32>) -> tensor<3x4x4xf32>
    %5 = "hct_graph.map2"(%4, %b) {fn = "add"} : (tensor<3x4x4xf32>, tensor<4x4xf32>) -> tensor<3x4x4xf32>
    %6 = "hct_graph.softmax"(%5) {axis = 2 : i64} : (tensor<3x4x4xf32>) -> tensor<3x4x4xf32>
    %7 = "hct_graph.contract"(%6, %q) {spec = "amn,ank->amk"} : (tensor<3x4x4xf32>, tensor<3x4x8xf32>) -> tensor<3x4x8xf32>
    return %3, %7 : tensor<3x4x8xf32>, tensor<3x4x8xf32>
  }
}

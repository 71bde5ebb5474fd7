// A weight is split along its longer dimension into parameters of which each has a product and a fusion group of its own, and interleaved as the mesh splits it.
// RUN: %hecaton-opt --hct-split-weights --split-input-file %s | FileCheck %s

// Summed over what is cut: parts of the input, and a sum of products. What came before is with the first piece, what reads the sum with the last.
// CHECK-LABEL: func.func @sum
// CHECK-SAME: (%[[X:[a-z0-9]+]]: tensor<4x3x16xf32> {{.*}}, %[[W0:[a-z0-9]+]]: tensor<8x6xf32> {hct.name = "w#0/2@0*2", hct.role = "param"}{{.*}}, %[[W1:[a-z0-9]+]]: tensor<8x6xf32> {hct.name = "w#1/2@0*2", hct.role = "param"}
// CHECK-NEXT: %[[N:.+]] = "hct_graph.map1"(%[[X]]) {fn = "neg", hct.group = 1 : i64}
// CHECK-NEXT: %[[R0:.+]] = "hct_graph.reshape"(%[[N]]) {{.*}} : (tensor<4x3x16xf32>) -> tensor<4x3x2x2x4xf32>
// CHECK-NEXT: %[[S0:.+]] = "hct_graph.slice"(%[[R0]]) {{.*}}starts = array<i64: 0, 0, 0, 0, 0>{{.*}} -> tensor<4x3x2x1x4xf32>
// CHECK-NEXT: %[[X0:.+]] = "hct_graph.reshape"(%[[S0]]) {{.*}} -> tensor<4x3x8xf32>
// CHECK-NEXT: %[[Y0:.+]] = "hct_graph.contract"(%[[X0]], %[[W0]]) {hct.group = 1 : i64, hct.layer = "l", spec = "bsk,kn->bsn"} : (tensor<4x3x8xf32>, tensor<8x6xf32>) -> tensor<4x3x6xf32>
// CHECK-NEXT: "hct_graph.reshape"(%[[N]])
// CHECK-NEXT: %[[S1:.+]] = "hct_graph.slice"{{.*}}starts = array<i64: 0, 0, 0, 1, 0>
// CHECK-NEXT: %[[X1:.+]] = "hct_graph.reshape"(%[[S1]])
// CHECK-NEXT: %[[Y1:.+]] = "hct_graph.contract"(%[[X1]], %[[W1]]) {hct.group = 2 : i64
// CHECK-NEXT: %[[Y:.+]] = "hct_graph.map2"(%[[Y0]], %[[Y1]]) {fn = "add", hct.group = 2 : i64, hct.layer = "l"}
// CHECK-NEXT: %[[A:.+]] = "hct_graph.map1"(%[[Y]]) {fn = "neg", hct.group = 2 : i64}
// CHECK-NEXT: %[[B:.+]] = "hct_graph.map1"(%[[A]]) {fn = "neg", hct.group = 3 : i64}
// CHECK-NEXT: return %[[B]] :
module attributes {hct.package = "hecaton-2x2", hct.options = {"weight-pieces" = "2"}} {
  func.func @sum(%x: tensor<4x3x16xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<16x6xf32> {hct.name = "w", hct.role = "param"}) -> (tensor<4x3x6xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.map1"(%x) {fn = "neg", hct.group = 1 : i64} : (tensor<4x3x16xf32>) -> tensor<4x3x16xf32>
    %1 = "hct_graph.contract"(%0, %w) {spec = "bsk,kn->bsn", hct.group = 1 : i64, hct.layer = "l"} : (tensor<4x3x16xf32>, tensor<16x6xf32>) -> tensor<4x3x6xf32>
    %2 = "hct_graph.map1"(%1) {fn = "neg", hct.group = 1 : i64} : (tensor<4x3x6xf32>) -> tensor<4x3x6xf32>
    %3 = "hct_graph.map1"(%2) {fn = "neg", hct.group = 2 : i64} : (tensor<4x3x6xf32>) -> tensor<4x3x6xf32>
    return %3 : tensor<4x3x6xf32>
  }
}
// -----
// A longer dimension of the result is put together, also where the weight is transposed before it is read.
// CHECK-LABEL: func.func @outputs
// CHECK-SAME: %[[W0:[a-z0-9]+]]: tensor<8x4xf32> {hct.name = "w#0/2@0*2"{{.*}}, %[[W1:[a-z0-9]+]]: tensor<8x4xf32> {hct.name = "w#1/2@0*2"
// CHECK: %[[T0:.+]] = "hct_graph.transpose"(%[[W0]]) {{.*}} -> tensor<4x8xf32>
// CHECK-NEXT: %[[T1:.+]] = "hct_graph.transpose"(%[[W1]])
// CHECK-NEXT: %[[Y0:.+]] = "hct_graph.contract"(%[[X:.+]], %[[T0]]) {{.*}} -> tensor<4x8xf32>
// CHECK-NEXT: %[[Y1:.+]] = "hct_graph.contract"(%[[X]], %[[T1]])
// CHECK-NEXT: %[[A0:.+]] = "hct_graph.reshape"(%[[Y0]]) : (tensor<4x8xf32>) -> tensor<4x2x1x4xf32>
// CHECK-NEXT: %[[A1:.+]] = "hct_graph.reshape"(%[[Y1]])
// CHECK-NEXT: %[[C:.+]] = "hct_graph.concat"(%[[A0]], %[[A1]]) {axis = 2 : i64{{.*}} -> tensor<4x2x2x4xf32>
// CHECK-NEXT: "hct_graph.reshape"(%[[C]]) : (tensor<4x2x2x4xf32>) -> tensor<4x16xf32>
module attributes {hct.package = "hecaton-2x2", hct.options = {"weight-pieces" = "2"}} {
  func.func @outputs(%x: tensor<4x4xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<16x4xf32> {hct.name = "w", hct.role = "param"}) -> (tensor<4x16xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.transpose"(%w) {perm = array<i64: 1, 0>} : (tensor<16x4xf32>) -> tensor<4x16xf32>
    %1 = "hct_graph.contract"(%x, %0) {spec = "bk,kn->bn"} : (tensor<4x4xf32>, tensor<4x16xf32>) -> tensor<4x16xf32>
    return %1 : tensor<4x16xf32>
  }
}
// -----
// A table is split along its features, and by itself as soon as it takes more than three quarters of SRAM: 64 x 16 of 8 bytes, on 2 x 2 dies of 2,560 bytes. The
// other weight takes less.
// CHECK-LABEL: func.func @table
// CHECK-SAME: %{{.+}}: tensor<16x16xf32> {hct.name = "small"{{.*}}%[[T0:[a-z0-9]+]]: tensor<64x8xf32> {hct.name = "t#0/2@1*2"{{.*}}%[[T1:[a-z0-9]+]]: tensor<64x8xf32>
// CHECK: %[[E0:.+]] = "hct_graph.gather_rows"(%[[T0]], %{{.+}}) {hct.group = 0 : i64} : {{.*}} -> tensor<4x8xf32>
// CHECK-NEXT: %[[E1:.+]] = "hct_graph.gather_rows"(%[[T1]], %{{.+}}) {hct.group = 1 : i64}
// CHECK: "hct_graph.concat"({{.*}}axis = 2 : i64, hct.group = 1 : i64{{.*}} -> tensor<4x2x2x4xf32>
// CHECK: "hct_graph.contract"({{.*}}hct.group = 2 : i64
module attributes {hct.package = "<package name='p' rows='2' cols='2'><die clock_hz='1e9'><mxu arrays='8' rows='32' cols='32' dataflow='output-stationary' f32_rate='0.25'/><vpu lanes='256' transcendental_cycles='4'/><sram bytes='2560' bytes_per_cycle='2048'/><queue depth='16'/></die><link bandwidth_bytes_per_s='64e9' latency_s='8e-9' bypass_latency_s='4e-9' energy_j_per_bit='0.6e-12'/><dram kind='DDR5-6400' channels='8' channel_bandwidth_bytes_per_s='51.2e9' efficiency='0.92' latency_s='60e-9' channel_capacity_bytes='68719476736' energy_j_per_bit='14e-12'/><energy mac_f32_j='2.2e-12' mac_bf16_j='0.6e-12' vector_op_j='1.5e-12' sram_j_per_byte='0.8e-12' static_w_per_die='0.5'/></package>"} {
  func.func @table(%ids: tensor<4xi64> {hct.name = "ids", hct.role = "input"}, %s: tensor<16x16xf32> {hct.name = "small", hct.role = "param"}, %t: tensor<64x16xf32> {hct.name = "t", hct.role = "param"}) -> (tensor<4x16xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.gather_rows"(%t, %ids) {hct.group = 0 : i64} : (tensor<64x16xf32>, tensor<4xi64>) -> tensor<4x16xf32>
    %1 = "hct_graph.contract"(%0, %s) {spec = "bk,kn->bn", hct.group = 0 : i64} : (tensor<4x16xf32>, tensor<16x16xf32>) -> tensor<4x16xf32>
    return %1 : tensor<4x16xf32>
  }
}
// -----
// Left alone: what other operators read, sizes that pieces and dies do not divide, vectors, and all where a single piece is asked for.
// CHECK-LABEL: func.func @others
// CHECK-SAME: hct.name = "shown"{{.*}}hct.name = "odd"{{.*}}hct.name = "bias"
// CHECK-NOT: hct_graph.slice
module attributes {hct.package = "hecaton-2x2", hct.options = {"weight-pieces" = "2"}} {
  func.func @others(%x: tensor<4x16xf32> {hct.name = "x", hct.role = "input"}, %a: tensor<16x16xf32> {hct.name = "shown", hct.role = "param"}, %b: tensor<6x6xf32> {hct.name = "odd", hct.role = "param"}, %c: tensor<16xf32> {hct.name = "bias", hct.role = "param"})
      -> (tensor<4x16xf32> {hct.name = "y", hct.role = "output"}, tensor<16x16xf32> {hct.name = "z", hct.role = "output"}, tensor<6x6xf32> {hct.name = "u", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%x, %a) {spec = "bk,kn->bn"} : (tensor<4x16xf32>, tensor<16x16xf32>) -> tensor<4x16xf32>
    %1 = "hct_graph.map2"(%0, %c) {fn = "add"} : (tensor<4x16xf32>, tensor<16xf32>) -> tensor<4x16xf32>
    %2 = "hct_graph.map1"(%a) {fn = "neg"} : (tensor<16x16xf32>) -> tensor<16x16xf32>
    %3 = "hct_graph.contract"(%b, %b) {spec = "bk,kn->bn"} : (tensor<6x6xf32>, tensor<6x6xf32>) -> tensor<6x6xf32>
    return %1, %2, %3 : tensor<4x16xf32>, tensor<16x16xf32>, tensor<6x6xf32>
  }
}
// -----
// CHECK-LABEL: func.func @one
// CHECK: hct.name = "w", hct.role
module attributes {hct.package = "hecaton-2x2", hct.options = {"weight-pieces" = "1"}} {
  func.func @one(%x: tensor<4x16xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<16x16xf32> {hct.name = "w", hct.role = "param"}) -> (tensor<4x16xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%x, %w) {spec = "bk,kn->bn"} : (tensor<4x16xf32>, tensor<16x16xf32>) -> tensor<4x16xf32>
    return %0 : tensor<4x16xf32>
  }
}
// -----
// Scores of classes in pieces of 8, which are classes 0 to 3 and 8 to 11, 4 to 7 and 12 to 15: each has its log-sum-exp, and picks of the labels those that are
// its own, whose numbers there are (label / 8) * 4 + label % 4. What a row of all scores was is a row of pieces; no scores are put together.
// CHECK-LABEL: func.func @classes
// CHECK: %[[Z0:.+]] = "hct_graph.contract"({{.*}}hct.group = 0 : i64{{.*}} -> tensor<4x8xf32>
// CHECK-NEXT: %[[Z1:.+]] = "hct_graph.contract"({{.*}}hct.group = 1 : i64{{.*}} -> tensor<4x8xf32>
// CHECK-NEXT: %[[M0:.+]] = "hct_graph.reduce"(%[[Z0]]) {axes = array<i64: 1>, hct.group = 0 : i64, kind = "max"} : (tensor<4x8xf32>) -> tensor<4x1xf32>
// CHECK-NEXT: %[[D0:.+]] = "hct_graph.map2"(%[[Z0]], %[[M0]]) {fn = "sub", hct.group = 0 : i64}
// CHECK-NEXT: %[[E0:.+]] = "hct_graph.map1"(%[[D0]]) {fn = "exp", hct.group = 0 : i64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
// CHECK-NEXT: %[[S0:.+]] = "hct_graph.reduce"(%[[E0]]) {axes = array<i64: 1>, hct.group = 0 : i64, kind = "sum"}
// CHECK-NEXT: %[[L0:.+]] = "hct_graph.map1"(%[[S0]]) {fn = "log", hct.group = 0 : i64}
// CHECK-NEXT: %[[A0:.+]] = "hct_graph.map2"(%[[L0]], %[[M0]]) {fn = "add", hct.group = 0 : i64}
// CHECK-NEXT: "hct_graph.reduce"(%[[Z1]]) {axes = array<i64: 1>, hct.group = 1 : i64, kind = "max"}
// CHECK: %[[A1:.+]] = "hct_graph.map2"({{.*}}) {fn = "add", hct.group = 1 : i64}
// CHECK-NEXT: %[[A:.+]] = "hct_graph.concat"(%[[A0]], %[[A1]]) {axis = 1 : i64, hct.group = 1 : i64{{.*}} -> tensor<4x2xf32>
// CHECK-NEXT: %[[M:.+]] = "hct_graph.reduce"(%[[A]]) {axes = array<i64: 1>, hct.group = 1 : i64, kind = "max"} : (tensor<4x2xf32>) -> tensor<4x1xf32>
// CHECK-NEXT: %[[D:.+]] = "hct_graph.map2"(%[[A]], %[[M]]) {fn = "sub"
// CHECK-NEXT: %[[E:.+]] = "hct_graph.map1"(%[[D]]) {fn = "exp"{{.*}} : (tensor<4x2xf32>) -> tensor<4x2xf32>
// CHECK: dense<4> : tensor<i64>
// CHECK: %[[PART:.+]] = "hct_graph.map2"(%[[IDS:arg[0-9]+]], %{{.+}}) {fn = "div"
// CHECK: %[[T0:.+]] = "hct_graph.pick"(%[[Z0]], %{{.+}}) {hct.group = 0 : i64}
// CHECK: %[[T1:.+]] = "hct_graph.pick"(%[[Z1]], %{{.+}}) {hct.group = 1 : i64}
// CHECK-NEXT: %[[T:.+]] = "hct_graph.map2"(%[[T0]], %[[T1]]) {fn = "add", hct.group = 1 : i64}
// CHECK-NOT: tensor<4x16xf32>
// CHECK: return %{{.+}}, %[[T]]
module attributes {hct.package = "hecaton-2x2", hct.options = {"weight-pieces" = "2"}} {
  func.func @classes(%x: tensor<4x4xf32> {hct.name = "x", hct.role = "input"}, %ids: tensor<4xi64> {hct.name = "ids", hct.role = "input"}, %w: tensor<4x16xf32> {hct.name = "w", hct.role = "param"})
      -> (tensor<4x1xf32> {hct.name = "l", hct.role = "output"}, tensor<4xf32> {hct.name = "t", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%x, %w) {spec = "bk,kn->bn", hct.group = 0 : i64} : (tensor<4x4xf32>, tensor<4x16xf32>) -> tensor<4x16xf32>
    %1 = "hct_graph.reduce"(%0) {kind = "max", axes = array<i64: 1>, hct.group = 0 : i64} : (tensor<4x16xf32>) -> tensor<4x1xf32>
    %2 = "hct_graph.map2"(%0, %1) {fn = "sub", hct.group = 0 : i64} : (tensor<4x16xf32>, tensor<4x1xf32>) -> tensor<4x16xf32>
    %3 = "hct_graph.map1"(%2) {fn = "exp", hct.group = 0 : i64} : (tensor<4x16xf32>) -> tensor<4x16xf32>
    %4 = "hct_graph.reduce"(%3) {kind = "sum", axes = array<i64: 1>, hct.group = 0 : i64} : (tensor<4x16xf32>) -> tensor<4x1xf32>
    %5 = "hct_graph.map1"(%4) {fn = "log", hct.group = 0 : i64} : (tensor<4x1xf32>) -> tensor<4x1xf32>
    %6 = "hct_graph.map2"(%5, %1) {fn = "add", hct.group = 0 : i64} : (tensor<4x1xf32>, tensor<4x1xf32>) -> tensor<4x1xf32>
    %7 = "hct_graph.pick"(%0, %ids) {hct.group = 0 : i64} : (tensor<4x16xf32>, tensor<4xi64>) -> tensor<4xf32>
    return %6, %7 : tensor<4x1xf32>, tensor<4xf32>
  }
}
// -----
// Of probabilities, which are as many as scores, all are put together.
// CHECK-LABEL: func.func @probabilities
// CHECK: %[[J:.+]] = "hct_graph.concat"({{.*}} -> tensor<4x2x2x4xf32>
// CHECK-NEXT: %[[Z:.+]] = "hct_graph.reshape"(%[[J]]) {{.*}} -> tensor<4x16xf32>
// CHECK-NEXT: "hct_graph.reduce"(%[[Z]]) {{.*}}kind = "max"
module attributes {hct.package = "hecaton-2x2", hct.options = {"weight-pieces" = "2"}} {
  func.func @probabilities(%x: tensor<4x4xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<4x16xf32> {hct.name = "w", hct.role = "param"}) -> (tensor<4x16xf32> {hct.name = "p", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%x, %w) {spec = "bk,kn->bn", hct.group = 0 : i64} : (tensor<4x4xf32>, tensor<4x16xf32>) -> tensor<4x16xf32>
    %1 = "hct_graph.reduce"(%0) {kind = "max", axes = array<i64: 1>, hct.group = 0 : i64} : (tensor<4x16xf32>) -> tensor<4x1xf32>
    %2 = "hct_graph.map2"(%0, %1) {fn = "sub", hct.group = 0 : i64} : (tensor<4x16xf32>, tensor<4x1xf32>) -> tensor<4x16xf32>
    %3 = "hct_graph.map1"(%2) {fn = "exp", hct.group = 0 : i64} : (tensor<4x16xf32>) -> tensor<4x16xf32>
    %4 = "hct_graph.reduce"(%3) {kind = "sum", axes = array<i64: 1>, hct.group = 0 : i64} : (tensor<4x16xf32>) -> tensor<4x1xf32>
    %5 = "hct_graph.map2"(%3, %4) {fn = "div", hct.group = 0 : i64} : (tensor<4x16xf32>, tensor<4x1xf32>) -> tensor<4x16xf32>
    return %5 : tensor<4x16xf32>
  }
}
// -----
// Classes that pieces and dies do not divide, 37 in 2 pieces on 2 x 2 dies, are runs of 20 and 17: of 19 pairs, 10 and 9, of which the last one lacks an element. The number of a label in a run is its
// own less the run's first one.
// CHECK-LABEL: func.func @runs
// CHECK-SAME: %[[W0:[a-z0-9]+]]: tensor<6x20xf32> {hct.name = "w#0+20/37@1*1", hct.role = "param"}{{.*}}%[[W1:[a-z0-9]+]]: tensor<6x17xf32> {hct.name = "w#20+17/37@1*1"
// CHECK: %[[Z0:.+]] = "hct_graph.contract"(%[[X:.+]], %[[W0]]) {hct.group = 0 : i64{{.*}} -> tensor<4x20xf32>
// CHECK-NEXT: %[[Z1:.+]] = "hct_graph.contract"(%[[X]], %[[W1]]) {hct.group = 1 : i64{{.*}} -> tensor<4x17xf32>
// CHECK-NEXT: %[[M0:.+]] = "hct_graph.reduce"(%[[Z0]]) {axes = array<i64: 1>, hct.group = 0 : i64, kind = "max"} : (tensor<4x20xf32>) -> tensor<4x1xf32>
// CHECK: "hct_graph.reduce"(%[[Z1]]) {axes = array<i64: 1>, hct.group = 1 : i64, kind = "max"} : (tensor<4x17xf32>) -> tensor<4x1xf32>
// CHECK: %[[F0:.+]] = "hct_graph.constant"() {{.*}}value = dense<0> : tensor<i64>
// CHECK-NEXT: %[[I0:.+]] = "hct_graph.map2"(%[[IDS:.+]], %[[F0]]) {fn = "sub"
// CHECK-NEXT: %[[F1:.+]] = "hct_graph.constant"() {{.*}}value = dense<20> : tensor<i64>
// CHECK-NEXT: %[[I1:.+]] = "hct_graph.map2"(%[[IDS]], %[[F1]]) {fn = "sub"
// CHECK-NEXT: "hct_graph.pick"(%[[Z0]], %[[I0]])
// CHECK-NEXT: "hct_graph.pick"(%[[Z1]], %[[I1]])
module attributes {hct.package = "hecaton-2x2", hct.options = {"weight-pieces" = "2"}} {
  func.func @runs(%x: tensor<4x6xf32> {hct.name = "x", hct.role = "input"}, %ids: tensor<4xi64> {hct.name = "ids", hct.role = "input"}, %w: tensor<6x37xf32> {hct.name = "w", hct.role = "param"})
      -> (tensor<4x1xf32> {hct.name = "l", hct.role = "output"}, tensor<4xf32> {hct.name = "t", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%x, %w) {spec = "bk,kn->bn", hct.group = 0 : i64} : (tensor<4x6xf32>, tensor<6x37xf32>) -> tensor<4x37xf32>
    %1 = "hct_graph.reduce"(%0) {kind = "max", axes = array<i64: 1>, hct.group = 0 : i64} : (tensor<4x37xf32>) -> tensor<4x1xf32>
    %2 = "hct_graph.map2"(%0, %1) {fn = "sub", hct.group = 0 : i64} : (tensor<4x37xf32>, tensor<4x1xf32>) -> tensor<4x37xf32>
    %3 = "hct_graph.map1"(%2) {fn = "exp", hct.group = 0 : i64} : (tensor<4x37xf32>) -> tensor<4x37xf32>
    %4 = "hct_graph.reduce"(%3) {kind = "sum", axes = array<i64: 1>, hct.group = 0 : i64} : (tensor<4x37xf32>) -> tensor<4x1xf32>
    %5 = "hct_graph.map1"(%4) {fn = "log", hct.group = 0 : i64} : (tensor<4x1xf32>) -> tensor<4x1xf32>
    %6 = "hct_graph.map2"(%5, %1) {fn = "add", hct.group = 0 : i64} : (tensor<4x1xf32>, tensor<4x1xf32>) -> tensor<4x1xf32>
    %7 = "hct_graph.pick"(%0, %ids) {hct.group = 0 : i64} : (tensor<4x37xf32>, tensor<4xi64>) -> tensor<4xf32>
    return %6, %7 : tensor<4x1xf32>, tensor<4xf32>
  }
}
// -----
// Scores that something else reads would be put together, so pieces are no runs.
// CHECK-LABEL: func.func @read
// CHECK-SAME: tensor<4x37xf32> {hct.name = "w#0/2@0*2"
module attributes {hct.package = "hecaton-2x2", hct.options = {"weight-pieces" = "2"}} {
  func.func @read(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<8x37xf32> {hct.name = "w", hct.role = "param"}) -> (tensor<4x37xf32> {hct.name = "y", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%x, %w) {spec = "bk,kn->bn", hct.group = 0 : i64} : (tensor<4x8xf32>, tensor<8x37xf32>) -> tensor<4x37xf32>
    %1 = "hct_graph.map1"(%0) {fn = "neg", hct.group = 0 : i64} : (tensor<4x37xf32>) -> tensor<4x37xf32>
    return %1 : tensor<4x37xf32>
  }
}
// -----
// A table whose rows are such classes, too: runs, of equal lengths where there are such, of which lookups add up their rows.
// CHECK-LABEL: func.func @tied
// CHECK-SAME: %[[W0:[a-z0-9]+]]: tensor<20x6xf32> {hct.name = "w#0+20/40@0*1", hct.role = "param"}{{.*}}%[[W1:[a-z0-9]+]]: tensor<20x6xf32> {hct.name = "w#20+20/40@0*1"
// CHECK: %[[E0:.+]] = "hct_graph.gather_rows"(%[[W0]], %[[IDS:.+]]) {hct.group = 0 : i64, run = array<i64: 0, 40>} : (tensor<20x6xf32>, tensor<4xi64>) -> tensor<4x6xf32>
// CHECK-NEXT: %[[E1:.+]] = "hct_graph.gather_rows"(%[[W1]], %[[IDS]]) {hct.group = 1 : i64, run = array<i64: 20, 40>}
// CHECK-NEXT: %[[E:.+]] = "hct_graph.map2"(%[[E0]], %[[E1]]) {fn = "add", hct.group = 1 : i64}
// CHECK: %[[T0:.+]] = "hct_graph.transpose"(%[[W0]]) {{.*}} -> tensor<6x20xf32>
// CHECK: "hct_graph.contract"(%[[E]], %[[T0]]) {{.*}} -> tensor<4x20xf32>
// CHECK-NOT: tensor<4x40xf32>
// CHECK: return
module attributes {hct.package = "hecaton-2x2", hct.options = {"weight-pieces" = "2"}} {
  func.func @tied(%ids: tensor<4xi64> {hct.name = "ids", hct.role = "input"}, %w: tensor<40x6xf32> {hct.name = "w", hct.role = "param"})
      -> (tensor<4x1xf32> {hct.name = "l", hct.role = "output"}, tensor<4xf32> {hct.name = "t", hct.role = "output"}) {
    %x = "hct_graph.gather_rows"(%w, %ids) {hct.group = 0 : i64} : (tensor<40x6xf32>, tensor<4xi64>) -> tensor<4x6xf32>
    %wt = "hct_graph.transpose"(%w) {perm = array<i64: 1, 0>, hct.group = 1 : i64} : (tensor<40x6xf32>) -> tensor<6x40xf32>
    %0 = "hct_graph.contract"(%x, %wt) {spec = "bk,kn->bn", hct.group = 1 : i64} : (tensor<4x6xf32>, tensor<6x40xf32>) -> tensor<4x40xf32>
    %1 = "hct_graph.reduce"(%0) {kind = "max", axes = array<i64: 1>, hct.group = 1 : i64} : (tensor<4x40xf32>) -> tensor<4x1xf32>
    %2 = "hct_graph.map2"(%0, %1) {fn = "sub", hct.group = 1 : i64} : (tensor<4x40xf32>, tensor<4x1xf32>) -> tensor<4x40xf32>
    %3 = "hct_graph.map1"(%2) {fn = "exp", hct.group = 1 : i64} : (tensor<4x40xf32>) -> tensor<4x40xf32>
    %4 = "hct_graph.reduce"(%3) {kind = "sum", axes = array<i64: 1>, hct.group = 1 : i64} : (tensor<4x40xf32>) -> tensor<4x1xf32>
    %5 = "hct_graph.map1"(%4) {fn = "log", hct.group = 1 : i64} : (tensor<4x1xf32>) -> tensor<4x1xf32>
    %6 = "hct_graph.map2"(%5, %1) {fn = "add", hct.group = 1 : i64} : (tensor<4x1xf32>, tensor<4x1xf32>) -> tensor<4x1xf32>
    %7 = "hct_graph.pick"(%0, %ids) {hct.group = 1 : i64} : (tensor<4x40xf32>, tensor<4xi64>) -> tensor<4xf32>
    return %6, %7 : tensor<4x1xf32>, tensor<4xf32>
  }
}
// -----
// A head takes 24 x 4 x 8 = 768 bytes of 1,024 with its gradient, no more than 3/4, but with scores of 4 x 24 x 4 more than 9/10.
// CHECK-LABEL: func.func @crowded
// CHECK-SAME: hct.name = "w#0/2@1*1"
// CHECK-NOT: tensor<4x24xf32>
// CHECK: return
module attributes {hct.package = "<package name='p' rows='1' cols='1'><die clock_hz='1e9'><mxu arrays='8' rows='32' cols='32' dataflow='output-stationary' f32_rate='0.25'/><vpu lanes='256' transcendental_cycles='4'/><sram bytes='1024' bytes_per_cycle='2048'/><queue depth='16'/></die><link bandwidth_bytes_per_s='64e9' latency_s='8e-9' bypass_latency_s='4e-9' energy_j_per_bit='0.6e-12'/><dram kind='DDR5-6400' channels='4' channel_bandwidth_bytes_per_s='51.2e9' efficiency='0.92' latency_s='60e-9' channel_capacity_bytes='68719476736' energy_j_per_bit='14e-12'/><energy mac_f32_j='2.2e-12' mac_bf16_j='0.6e-12' vector_op_j='1.5e-12' sram_j_per_byte='0.8e-12' static_w_per_die='0.5'/></package>", hct.options = {"micro-batch" = "64", "token-blocks" = "16"}} {
  func.func @crowded(%x: tensor<4x4xf32> {hct.name = "x", hct.role = "input"}, %ids: tensor<4xi64> {hct.name = "ids", hct.role = "input"}, %w: tensor<4x24xf32> {hct.name = "w", hct.role = "param"})
      -> (tensor<4x1xf32> {hct.name = "l", hct.role = "output"}, tensor<4xf32> {hct.name = "t", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%x, %w) {spec = "bk,kn->bn", hct.group = 0 : i64} : (tensor<4x4xf32>, tensor<4x24xf32>) -> tensor<4x24xf32>
    %1 = "hct_graph.reduce"(%0) {kind = "max", axes = array<i64: 1>, hct.group = 0 : i64} : (tensor<4x24xf32>) -> tensor<4x1xf32>
    %2 = "hct_graph.map2"(%0, %1) {fn = "sub", hct.group = 0 : i64} : (tensor<4x24xf32>, tensor<4x1xf32>) -> tensor<4x24xf32>
    %3 = "hct_graph.map1"(%2) {fn = "exp", hct.group = 0 : i64} : (tensor<4x24xf32>) -> tensor<4x24xf32>
    %4 = "hct_graph.reduce"(%3) {kind = "sum", axes = array<i64: 1>, hct.group = 0 : i64} : (tensor<4x24xf32>) -> tensor<4x1xf32>
    %5 = "hct_graph.map1"(%4) {fn = "log", hct.group = 0 : i64} : (tensor<4x1xf32>) -> tensor<4x1xf32>
    %6 = "hct_graph.map2"(%5, %1) {fn = "add", hct.group = 0 : i64} : (tensor<4x1xf32>, tensor<4x1xf32>) -> tensor<4x1xf32>
    %7 = "hct_graph.pick"(%0, %ids) {hct.group = 0 : i64} : (tensor<4x24xf32>, tensor<4xi64>) -> tensor<4xf32>
    return %6, %7 : tensor<4x1xf32>, tensor<4xf32>
  }
}
// -----
// Those of one sample are a quarter of that.
// CHECK-LABEL: func.func @roomy
// CHECK-SAME: hct.name = "w", hct.role
// CHECK: "hct_graph.contract"({{.*}} -> tensor<4x24xf32>
module attributes {hct.package = "<package name='p' rows='1' cols='1'><die clock_hz='1e9'><mxu arrays='8' rows='32' cols='32' dataflow='output-stationary' f32_rate='0.25'/><vpu lanes='256' transcendental_cycles='4'/><sram bytes='1024' bytes_per_cycle='2048'/><queue depth='16'/></die><link bandwidth_bytes_per_s='64e9' latency_s='8e-9' bypass_latency_s='4e-9' energy_j_per_bit='0.6e-12'/><dram kind='DDR5-6400' channels='4' channel_bandwidth_bytes_per_s='51.2e9' efficiency='0.92' latency_s='60e-9' channel_capacity_bytes='68719476736' energy_j_per_bit='14e-12'/><energy mac_f32_j='2.2e-12' mac_bf16_j='0.6e-12' vector_op_j='1.5e-12' sram_j_per_byte='0.8e-12' static_w_per_die='0.5'/></package>", hct.options = {"micro-batch" = "16", "token-blocks" = "16"}} {
  func.func @roomy(%x: tensor<4x4xf32> {hct.name = "x", hct.role = "input"}, %ids: tensor<4xi64> {hct.name = "ids", hct.role = "input"}, %w: tensor<4x24xf32> {hct.name = "w", hct.role = "param"})
      -> (tensor<4x1xf32> {hct.name = "l", hct.role = "output"}, tensor<4xf32> {hct.name = "t", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%x, %w) {spec = "bk,kn->bn", hct.group = 0 : i64} : (tensor<4x4xf32>, tensor<4x24xf32>) -> tensor<4x24xf32>
    %1 = "hct_graph.reduce"(%0) {kind = "max", axes = array<i64: 1>, hct.group = 0 : i64} : (tensor<4x24xf32>) -> tensor<4x1xf32>
    %2 = "hct_graph.map2"(%0, %1) {fn = "sub", hct.group = 0 : i64} : (tensor<4x24xf32>, tensor<4x1xf32>) -> tensor<4x24xf32>
    %3 = "hct_graph.map1"(%2) {fn = "exp", hct.group = 0 : i64} : (tensor<4x24xf32>) -> tensor<4x24xf32>
    %4 = "hct_graph.reduce"(%3) {kind = "sum", axes = array<i64: 1>, hct.group = 0 : i64} : (tensor<4x24xf32>) -> tensor<4x1xf32>
    %5 = "hct_graph.map1"(%4) {fn = "log", hct.group = 0 : i64} : (tensor<4x1xf32>) -> tensor<4x1xf32>
    %6 = "hct_graph.map2"(%5, %1) {fn = "add", hct.group = 0 : i64} : (tensor<4x1xf32>, tensor<4x1xf32>) -> tensor<4x1xf32>
    %7 = "hct_graph.pick"(%0, %ids) {hct.group = 0 : i64} : (tensor<4x24xf32>, tensor<4xi64>) -> tensor<4xf32>
    return %6, %7 : tensor<4x1xf32>, tensor<4xf32>
  }
}
// -----
// What is of each class by itself between a product and its loss comes in pieces, too: a bias as parameters of its own, a scale, and a constant's elements, 1 ... 8 of classes
// 0 to 3 and 8 to 11 or 4 to 7 and 12 to 15.
// CHECK-LABEL: func.func @bias
// CHECK-SAME: %[[B0:[a-z0-9]+]]: tensor<8xf32> {hct.name = "b#0/2@0*2", hct.role = "param"}{{.*}}"w#0/2@1*2"{{.*}}"w#1/2@1*2"{{.*}}%[[B1:[a-z0-9]+]]: tensor<8xf32> {hct.name = "b#1/2@0*2", hct.role = "param"}
// CHECK: %[[Z0:.+]] = "hct_graph.contract"({{.*}}hct.group = 0 : i64{{.*}} -> tensor<4x8xf32>
// CHECK-NEXT: %[[Z1:.+]] = "hct_graph.contract"({{.*}}hct.group = 1 : i64{{.*}} -> tensor<4x8xf32>
// CHECK-NEXT: %[[A0:.+]] = "hct_graph.map2"(%[[B0]], %[[Z0]]) {fn = "add", hct.group = 0 : i64} : (tensor<8xf32>, tensor<4x8xf32>) -> tensor<4x8xf32>
// CHECK-NEXT: %[[A1:.+]] = "hct_graph.map2"(%[[B1]], %[[Z1]]) {fn = "add", hct.group = 1 : i64}
// CHECK-NEXT: %[[S0:.+]] = "hct_graph.map1"(%[[A0]]) {fn = "muls", hct.group = 0 : i64, scalar = 2.000000e+00 : f64} : (tensor<4x8xf32>) -> tensor<4x8xf32>
// CHECK-NEXT: %[[S1:.+]] = "hct_graph.map1"(%[[A1]]) {fn = "muls", hct.group = 1 : i64
// CHECK-DAG: %[[C0:.+]] = "hct_graph.constant"() {{.*}}value = dense<[1.000000e+00, 2.000000e+00, 3.000000e+00, 4.000000e+00, 1.000000e+00, 2.000000e+00, 3.000000e+00, 4.000000e+00]> : tensor<8xf32>
// CHECK-DAG: %[[C1:.+]] = "hct_graph.constant"() {{.*}}value = dense<[5.000000e+00, 6.000000e+00, 7.000000e+00, 8.000000e+00, 5.000000e+00, 6.000000e+00, 7.000000e+00, 8.000000e+00]> : tensor<8xf32>
// CHECK-DAG: %[[P0:.+]] = "hct_graph.map2"(%[[S0]], %[[C0]]) {fn = "mul", hct.group = 0 : i64}
// CHECK-DAG: %[[P1:.+]] = "hct_graph.map2"(%[[S1]], %[[C1]]) {fn = "mul", hct.group = 1 : i64}
// CHECK: "hct_graph.reduce"(%[[P0]]) {axes = array<i64: 1>, hct.group = 0 : i64, kind = "max"} : (tensor<4x8xf32>) -> tensor<4x1xf32>
// CHECK: "hct_graph.reduce"(%[[P1]]) {axes = array<i64: 1>, hct.group = 1 : i64, kind = "max"} : (tensor<4x8xf32>) -> tensor<4x1xf32>
// CHECK: "hct_graph.pick"(%[[P0]],
// CHECK: "hct_graph.pick"(%[[P1]],
// CHECK-NOT: tensor<4x16xf32>
// CHECK: return
module attributes {hct.package = "hecaton-2x2", hct.options = {"weight-pieces" = "2"}} {
  func.func @bias(%x: tensor<4x4xf32> {hct.name = "x", hct.role = "input"}, %ids: tensor<4xi64> {hct.name = "ids", hct.role = "input"}, %b: tensor<16xf32> {hct.name = "b", hct.role = "param"}, %w: tensor<4x16xf32> {hct.name = "w", hct.role = "param"})
      -> (tensor<4x1xf32> {hct.name = "l", hct.role = "output"}, tensor<4xf32> {hct.name = "t", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%x, %w) {spec = "bk,kn->bn", hct.group = 0 : i64} : (tensor<4x4xf32>, tensor<4x16xf32>) -> tensor<4x16xf32>
    %a = "hct_graph.map2"(%b, %0) {fn = "add", hct.group = 0 : i64} : (tensor<16xf32>, tensor<4x16xf32>) -> tensor<4x16xf32>
    %s = "hct_graph.map1"(%a) {fn = "muls", scalar = 2.0 : f64, hct.group = 0 : i64} : (tensor<4x16xf32>) -> tensor<4x16xf32>
    %c = "hct_graph.constant"() {value = dense<[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]> : tensor<16xf32>} : () -> tensor<16xf32>
    %p = "hct_graph.map2"(%s, %c) {fn = "mul", hct.group = 0 : i64} : (tensor<4x16xf32>, tensor<16xf32>) -> tensor<4x16xf32>
    %1 = "hct_graph.reduce"(%p) {kind = "max", axes = array<i64: 1>, hct.group = 0 : i64} : (tensor<4x16xf32>) -> tensor<4x1xf32>
    %2 = "hct_graph.map2"(%p, %1) {fn = "sub", hct.group = 0 : i64} : (tensor<4x16xf32>, tensor<4x1xf32>) -> tensor<4x16xf32>
    %3 = "hct_graph.map1"(%2) {fn = "exp", hct.group = 0 : i64} : (tensor<4x16xf32>) -> tensor<4x16xf32>
    %4 = "hct_graph.reduce"(%3) {kind = "sum", axes = array<i64: 1>, hct.group = 0 : i64} : (tensor<4x16xf32>) -> tensor<4x1xf32>
    %5 = "hct_graph.map1"(%4) {fn = "log", hct.group = 0 : i64} : (tensor<4x1xf32>) -> tensor<4x1xf32>
    %6 = "hct_graph.map2"(%5, %1) {fn = "add", hct.group = 0 : i64} : (tensor<4x1xf32>, tensor<4x1xf32>) -> tensor<4x1xf32>
    %7 = "hct_graph.pick"(%p, %ids) {hct.group = 0 : i64} : (tensor<4x16xf32>, tensor<4xi64>) -> tensor<4xf32>
    return %6, %7 : tensor<4x1xf32>, tensor<4xf32>
  }
}
// -----
// A constant of runs: its first 5 elements, and the other 4.
// CHECK-LABEL: func.func @constant_runs
// CHECK-SAME: hct.name = "w#0+5/9@1*1"
// CHECK: dense<[1.000000e+00, 2.000000e+00, 3.000000e+00, 4.000000e+00, 5.000000e+00]> : tensor<5xf32>
// CHECK: dense<[6.000000e+00, 7.000000e+00, 8.000000e+00, 9.000000e+00]> : tensor<4xf32>
// CHECK-NOT: tensor<4x9xf32>
// CHECK: return
module attributes {hct.package = "<package name='p' rows='1' cols='1'><die clock_hz='1e9'><mxu arrays='8' rows='32' cols='32' dataflow='output-stationary' f32_rate='0.25'/><vpu lanes='256' transcendental_cycles='4'/><sram bytes='1024' bytes_per_cycle='2048'/><queue depth='16'/></die><link bandwidth_bytes_per_s='64e9' latency_s='8e-9' bypass_latency_s='4e-9' energy_j_per_bit='0.6e-12'/><dram kind='DDR5-6400' channels='4' channel_bandwidth_bytes_per_s='51.2e9' efficiency='0.92' latency_s='60e-9' channel_capacity_bytes='68719476736' energy_j_per_bit='14e-12'/><energy mac_f32_j='2.2e-12' mac_bf16_j='0.6e-12' vector_op_j='1.5e-12' sram_j_per_byte='0.8e-12' static_w_per_die='0.5'/></package>", hct.options = {"weight-pieces" = "2"}} {
  func.func @constant_runs(%x: tensor<4x6xf32> {hct.name = "x", hct.role = "input"}, %w: tensor<6x9xf32> {hct.name = "w", hct.role = "param"}) -> (tensor<4x1xf32> {hct.name = "l", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%x, %w) {spec = "bk,kn->bn", hct.group = 0 : i64} : (tensor<4x6xf32>, tensor<6x9xf32>) -> tensor<4x9xf32>
    %c = "hct_graph.constant"() {value = dense<[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0]> : tensor<9xf32>} : () -> tensor<9xf32>
    %p = "hct_graph.map2"(%0, %c) {fn = "add", hct.group = 0 : i64} : (tensor<4x9xf32>, tensor<9xf32>) -> tensor<4x9xf32>
    %1 = "hct_graph.reduce"(%p) {kind = "max", axes = array<i64: 1>, hct.group = 0 : i64} : (tensor<4x9xf32>) -> tensor<4x1xf32>
    %2 = "hct_graph.map2"(%p, %1) {fn = "sub", hct.group = 0 : i64} : (tensor<4x9xf32>, tensor<4x1xf32>) -> tensor<4x9xf32>
    %3 = "hct_graph.map1"(%2) {fn = "exp", hct.group = 0 : i64} : (tensor<4x9xf32>) -> tensor<4x9xf32>
    %4 = "hct_graph.reduce"(%3) {kind = "sum", axes = array<i64: 1>, hct.group = 0 : i64} : (tensor<4x9xf32>) -> tensor<4x1xf32>
    %5 = "hct_graph.map1"(%4) {fn = "log", hct.group = 0 : i64} : (tensor<4x1xf32>) -> tensor<4x1xf32>
    %6 = "hct_graph.map2"(%5, %1) {fn = "add", hct.group = 0 : i64} : (tensor<4x1xf32>, tensor<4x1xf32>) -> tensor<4x1xf32>
    return %6 : tensor<4x1xf32>
  }
}
// -----
// A bias that something else reads stays one tensor, so scores are put together, and pieces are no runs.
// CHECK-LABEL: func.func @shared_bias
// CHECK-SAME: tensor<37xf32> {hct.name = "b", {{.*}}tensor<4x37xf32> {hct.name = "w#0/2@0*2"
module attributes {hct.package = "hecaton-2x2", hct.options = {"weight-pieces" = "2"}} {
  func.func @shared_bias(%x: tensor<4x8xf32> {hct.name = "x", hct.role = "input"}, %b: tensor<37xf32> {hct.name = "b", hct.role = "param"}, %w: tensor<8x37xf32> {hct.name = "w", hct.role = "param"})
      -> (tensor<4x1xf32> {hct.name = "l", hct.role = "output"}, tensor<37xf32> {hct.name = "n", hct.role = "output"}) {
    %0 = "hct_graph.contract"(%x, %w) {spec = "bk,kn->bn", hct.group = 0 : i64} : (tensor<4x8xf32>, tensor<8x37xf32>) -> tensor<4x37xf32>
    %p = "hct_graph.map2"(%0, %b) {fn = "add", hct.group = 0 : i64} : (tensor<4x37xf32>, tensor<37xf32>) -> tensor<4x37xf32>
    %1 = "hct_graph.reduce"(%p) {kind = "max", axes = array<i64: 1>, hct.group = 0 : i64} : (tensor<4x37xf32>) -> tensor<4x1xf32>
    %2 = "hct_graph.map2"(%p, %1) {fn = "sub", hct.group = 0 : i64} : (tensor<4x37xf32>, tensor<4x1xf32>) -> tensor<4x37xf32>
    %3 = "hct_graph.map1"(%2) {fn = "exp", hct.group = 0 : i64} : (tensor<4x37xf32>) -> tensor<4x37xf32>
    %4 = "hct_graph.reduce"(%3) {kind = "sum", axes = array<i64: 1>, hct.group = 0 : i64} : (tensor<4x37xf32>) -> tensor<4x1xf32>
    %5 = "hct_graph.map1"(%4) {fn = "log", hct.group = 0 : i64} : (tensor<4x1xf32>) -> tensor<4x1xf32>
    %6 = "hct_graph.map2"(%5, %1) {fn = "add", hct.group = 0 : i64} : (tensor<4x1xf32>, tensor<4x1xf32>) -> tensor<4x1xf32>
    %7 = "hct_graph.map1"(%b) {fn = "neg", hct.group = 0 : i64} : (tensor<37xf32>) -> tensor<37xf32>
    return %6, %7 : tensor<4x1xf32>, tensor<37xf32>
  }
}

// Tile programs whose operands, words, numbers, nests or loops no backend could follow are refused, each at its line.
// RUN: %hecaton-opt --split-input-file --verify-diagnostics %s
module {
  func.func @step() {
    // expected-error@+1 {{hct_tile.alloc: layout '[4@q]' is not of the form}}
    %0 = "hct_tile.alloc"() {dtype = "f32", layout = "[4@q]", section = -1 : i64} : () -> !hct_tile.sram
    // expected-error@+1 {{hct_tile.alloc: dtype 'f8' is not known}}
    %1 = "hct_tile.alloc"() {dtype = "f8", layout = "[4]", section = -1 : i64} : () -> !hct_tile.sram
    // expected-error@+1 {{hct_tile.alloc: section 2 is none of -1, 0, 1}}
    %2 = "hct_tile.alloc"() {dtype = "f32", layout = "[4]", section = 2 : i64} : () -> !hct_tile.sram
    // expected-error@+1 {{hct_tile.alloc: attribute 'layout' is not of kind str}}
    %3 = "hct_tile.alloc"() {dtype = "f32", layout = 4 : i64, section = -1 : i64} : () -> !hct_tile.sram
    // expected-error@+1 {{hct_tile.dram: role 'weight' is not known}}
    %4 = "hct_tile.dram"() {dtype = "f32", layout = "[4]", name = "w", role = "weight"} : () -> !hct_tile.tensor
    // expected-error@+1 {{hct_tile.fill: operand 0 is missing, or no buffer}}
    "hct_tile.fill"(%4) {scalar = 0.0} : (!hct_tile.tensor) -> ()
    // A reader of the buffer that was refused does not stop the verifier.
    "hct_tile.reduce"(%3, %3) {kind = "sum", loops = [], section = -1 : i64, maps = [], fixes = [], accumulate = false} : (!hct_tile.sram, !hct_tile.sram) -> ()
    return
  }
}
// -----
module {
  func.func @step() {
    %a = "hct_tile.alloc"() {dtype = "f32", layout = "[4,8]", section = -1 : i64} : () -> !hct_tile.sram
    %b = "hct_tile.alloc"() {dtype = "f32", layout = "[4,8]", section = -1 : i64} : () -> !hct_tile.sram
    // expected-error@+1 {{hct_tile.reduce: loop '' is no factor of a layout}}
    "hct_tile.reduce"(%a, %b) {kind = "sum", loops = [""], section = -1 : i64, maps = [], fixes = [], accumulate = false} : (!hct_tile.sram, !hct_tile.sram) -> ()
    // expected-error@+1 {{hct_tile.reduce: maps of operand 1: not one (factor, start, step) for each of 1 loops}}
    "hct_tile.reduce"(%a, %b) {kind = "sum", loops = ["4"], section = -1 : i64, maps = [array<i64: 0, 0, 1>, array<i64: 2, 0, 1>], fixes = [array<i64>, array<i64>], accumulate = false} : (!hct_tile.sram, !hct_tile.sram) -> ()
    // expected-error@+1 {{hct_tile.reduce: fixes of operand 0: not pairs of a factor and its index}}
    "hct_tile.reduce"(%a, %b) {kind = "sum", loops = ["4"], section = -1 : i64, maps = [array<i64: 0, 0, 1>, array<i64: 0, 0, 1>], fixes = [array<i64: 1, 8>, array<i64>], accumulate = false} : (!hct_tile.sram, !hct_tile.sram) -> ()
    // expected-error@+1 {{hct_tile.reduce: kind 'product' is not known}}
    "hct_tile.reduce"(%a, %b) {kind = "product", loops = [], section = -1 : i64, maps = [], fixes = [], accumulate = false} : (!hct_tile.sram, !hct_tile.sram) -> ()
    return
  }
}
// -----
module {
  func.func @step() {
    %a = "hct_tile.alloc"() {dtype = "f32", layout = "[4@r]", section = -1 : i64} : () -> !hct_tile.sram
    %c0 = arith.constant 0 : index
    %c1 = arith.constant 1 : index
    // expected-error@+1 {{hct_tile.gather_step: a ring step is not alone in a loop of its own}}
    "hct_tile.gather_step"(%a, %c0) {axis = "r", factor = 0 : i64} : (!hct_tile.sram, index) -> ()
    // expected-error@+1 {{scf.for: the loop is not from 0 to a constant by 1}}
    scf.for %i = %c1 to %c1 step %c1 {
      "hct_tile.gather_step"(%a, %i) {axis = "r", factor = 0 : i64} : (!hct_tile.sram, index) -> ()
    }
    scf.for %i = %c0 to %c1 step %c1 {
      scf.for %j = %c0 to %c1 step %c1 {
        // expected-error@+1 {{scf.for: loops are nested deeper than micro-batches and ring steps}}
        scf.for %k = %c0 to %c1 step %c1 {
          "hct_tile.gather_step"(%a, %k) {axis = "r", factor = 0 : i64} : (!hct_tile.sram, index) -> ()
        }
      }
    }
    return
  }
}
// -----
module {
  // expected-error@+1 {{at tile level arguments and results are hct_tile.dram}}
  func.func @step(%x: tensor<4xf32>) {
    %a = "hct_tile.alloc"() {dtype = "f32", layout = "[4]", section = -1 : i64} : () -> !hct_tile.sram
    return
  }
}
// -----
module {
  func.func @step() {
    %a = "hct_tile.alloc"() {dtype = "f32", layout = "[4]", section = -1 : i64} : () -> !hct_tile.sram
    // expected-error@+1 {{hct_graph.constant: no operator of tile level}}
    %0 = "hct_graph.constant"() {value = dense<1.0> : tensor<4xf32>} : () -> tensor<4xf32>
    return
  }
}

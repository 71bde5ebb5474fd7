// Tile programs whose operands, words, numbers, nests or loops no backend could follow are refused, each at its line.
// RUN: %hecaton-opt --split-input-file --verify-diagnostics %s
module {
  func.func @step() {
    // expected-error@+1 {{hct_tile.alloc: layout '[4@r*2#1]' has a part alone, as tensors in DRAM may}}
    %part = "hct_tile.alloc"() {dtype = "f32", layout = "[4@r*2#1]", section = -1 : i64} : () -> !hct_tile.sram
    // expected-error@+1 {{hct_tile.alloc: layout '[4#1+2@r]' has a part alone, as tensors in DRAM may}}
    %run = "hct_tile.alloc"() {dtype = "f32", layout = "[4#1+2@r]", section = -1 : i64} : () -> !hct_tile.sram
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
    // expected-error@+1 {{hct_tile.rows: run is not the first of 4 rows in a table, and the number of that table's rows}}
    "hct_tile.rows"(%a, %b, %a) {fn = "gather", loops = [], section = -1 : i64, maps = [], fixes = [], row_loops = 0 : i64, classes = 4 : i64, run = array<i64: 3, 6>, operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (!hct_tile.sram, !hct_tile.sram, !hct_tile.sram) -> ()
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
    // expected-error@+1 {{scf.for: the loop begins at 1 and ends before 1}}
    scf.for %i = %c1 to %c1 step %c1 {
      "hct_tile.fill"(%a) {scalar = 0.0 : f64} : (!hct_tile.sram) -> ()
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
// -----
// Pieces of tiles.
module {
  func.func @step() {
    %c0 = arith.constant 0 : index
    %p = "hct_tile.dram"() {dtype = "f32", layout = "[8@r,4]", name = "p", role = "param"} : () -> !hct_tile.tensor
    %q = "hct_tile.dram"() {dtype = "f32", layout = "[8,4@r]", name = "q", role = "param"} : () -> !hct_tile.tensor
    // expected-error@+1 {{hct_tile.alloc: range is not a first element and a number of elements}}
    %0 = "hct_tile.alloc"() {dtype = "f32", layout = "[8@r,4]", section = -1 : i64, range = array<i64: 0, 0>} : () -> !hct_tile.sram
    // expected-error@+1 {{hct_tile.alloc: a piece of a micro-batch: layout '[8@t]' has t}}
    %1 = "hct_tile.alloc"() {dtype = "f32", layout = "[8@t]", section = 0 : i64, range = array<i64: 0, 4>} : () -> !hct_tile.sram
    // expected-error@+1 {{hct_tile.alloc: attribute 'range' is not of kind i64s}}
    %2 = "hct_tile.alloc"() {dtype = "f32", layout = "[8@r,4]", section = -1 : i64, range = 4 : i64} : () -> !hct_tile.sram
    %a = "hct_tile.alloc"() {dtype = "f32", layout = "[8@r,4]", section = -1 : i64, range = array<i64: 0, 4>} : () -> !hct_tile.sram
    %b = "hct_tile.alloc"() {dtype = "f32", layout = "[8@r,4]", section = -1 : i64, range = array<i64: 4, 4>} : () -> !hct_tile.sram
    %g = "hct_tile.alloc"() {dtype = "f32", layout = "[8@r,4]", section = -1 : i64} : () -> !hct_tile.sram
    %h = "hct_tile.alloc"() {dtype = "f32", layout = "[8,4@r]", section = -1 : i64} : () -> !hct_tile.sram
    %s = "hct_tile.alloc"() {dtype = "f32", layout = "[6]", section = -1 : i64} : () -> !hct_tile.sram
    %t = "hct_tile.alloc"() {dtype = "f32", layout = "[]", section = -1 : i64} : () -> !hct_tile.sram
    %low = "hct_tile.alloc"() {dtype = "bf16", layout = "[8@r,4]", section = -1 : i64, range = array<i64: 0, 4>} : () -> !hct_tile.sram
    "hct_tile.load"(%2, %p) {operandSegmentSizes = array<i32: 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (!hct_tile.sram, !hct_tile.tensor) -> ()
    // expected-error@+1 {{hct_tile.load: the piece is of another layout than the tensor}}
    "hct_tile.load"(%a, %q, %c0) {operandSegmentSizes = array<i32: 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (!hct_tile.sram, !hct_tile.tensor, index) -> ()
    // expected-error@+1 {{hct_tile.fill: operand 0 is a piece, where a whole buffer is needed}}
    "hct_tile.fill"(%a) {scalar = 0.0} : (!hct_tile.sram) -> ()
    // expected-error@+1 {{hct_tile.alias: operand 0 is a piece, where a whole buffer is needed}}
    %3 = "hct_tile.alias"(%a) {layout = "[32@r]", section = -1 : i64} : (!hct_tile.sram) -> !hct_tile.sram
    // expected-error@+1 {{hct_tile.cast: operand 1 is of another tile or range than the piece, operand 0}}
    "hct_tile.cast"(%low, %b) : (!hct_tile.sram, !hct_tile.sram) -> ()
    // expected-error@+1 {{hct_tile.cast: an operand is no piece}}
    "hct_tile.cast"(%low, %g) : (!hct_tile.sram, !hct_tile.sram) -> ()
    // expected-error@+1 {{hct_tile.update: operand 2 is of another tile or range than the piece, operand 0}}
    "hct_tile.update"(%a, %g, %b, %s, %t) {kind = "momentum", operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (!hct_tile.sram, !hct_tile.sram, !hct_tile.sram, !hct_tile.sram, !hct_tile.sram) -> ()
    // expected-error@+1 {{hct_tile.update: operand 1 is of another tile or range than the piece, operand 0}}
    "hct_tile.update"(%a, %h, %a, %s, %t) {kind = "momentum", operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (!hct_tile.sram, !hct_tile.sram, !hct_tile.sram, !hct_tile.sram, !hct_tile.sram) -> ()
    // expected-error@+1 {{hct_tile.update: operand 1, the gradient, is a piece}}
    "hct_tile.update"(%g, %a, %s, %t) {kind = "sgd", operandSegmentSizes = array<i32: 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (!hct_tile.sram, !hct_tile.sram, !hct_tile.sram, !hct_tile.sram) -> ()
    // expected-error@+1 {{hct_tile.update: an index, and no piece that it is of}}
    "hct_tile.update"(%g, %g, %s, %t, %c0) {kind = "sgd", operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (!hct_tile.sram, !hct_tile.sram, !hct_tile.sram, !hct_tile.sram, index) -> ()
    // expected-error@+1 {{hct_tile.update: sgd has 3 operands, and needs 4}}
    "hct_tile.update"(%g, %g, %s, %c0) {kind = "sgd", operandSegmentSizes = array<i32: 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (!hct_tile.sram, !hct_tile.sram, !hct_tile.sram, index) -> ()
    return
  }
}
// -----
module attributes {hct.batch = 8 : i64, hct.micro_batch = 4 : i64, hct.package = "hecaton-2x2"} {
  func.func @step() {
    %c0 = arith.constant 0 : index
    %a = "hct_tile.alloc"() {dtype = "f32", layout = "[8@t]", section = 0 : i64} : () -> !hct_tile.sram
    %k = "hct_tile.alloc"() {dtype = "i64", layout = "[]", section = -1 : i64} : () -> !hct_tile.sram
    %n = "hct_tile.alloc"() {dtype = "f32", layout = "[]", section = -1 : i64} : () -> !hct_tile.sram
    "hct_tile.dropout"(%a, %a, %k, %n, %c0) {ratio = 0.5, stream = 0 : i64, index = array<i64: 1, 0>, loops = ["8@t"], section = -1 : i64, maps = [array<i64: 0, 0, 1>, array<i64: 0, 0, 1>, array<i64: -1, 0, 1>, array<i64: -1, 0, 1>], fixes = [array<i64>, array<i64>, array<i64>, array<i64>], operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (!hct_tile.sram, !hct_tile.sram, !hct_tile.sram, !hct_tile.sram, index) -> ()
    // expected-error@+1 {{hct_tile.dropout: a loop is cut over t, and no index of the micro-batch is given}}
    "hct_tile.dropout"(%a, %a, %k, %n) {ratio = 0.5, stream = 0 : i64, index = array<i64: 1, 0>, loops = ["8@t"], section = -1 : i64, maps = [array<i64: 0, 0, 1>, array<i64: 0, 0, 1>, array<i64: -1, 0, 1>, array<i64: -1, 0, 1>], fixes = [array<i64>, array<i64>, array<i64>, array<i64>], operandSegmentSizes = array<i32: 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (!hct_tile.sram, !hct_tile.sram, !hct_tile.sram, !hct_tile.sram) -> ()
    // expected-error@+1 {{hct_tile.dropout: an index of a micro-batch, and no loop is cut over t}}
    "hct_tile.dropout"(%a, %a, %k, %n, %c0) {ratio = 0.5, stream = 0 : i64, index = array<i64: 1, 0>, loops = ["8"], section = -1 : i64, maps = [array<i64: 0, 0, 1>, array<i64: 0, 0, 1>, array<i64: -1, 0, 1>, array<i64: -1, 0, 1>], fixes = [array<i64>, array<i64>, array<i64>, array<i64>], operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (!hct_tile.sram, !hct_tile.sram, !hct_tile.sram, !hct_tile.sram, index) -> ()
    // expected-error@+1 {{hct_tile.dropout: index is not a number for each of 1 loops, and one for the first element}}
    "hct_tile.dropout"(%a, %a, %k, %n, %c0) {ratio = 0.5, stream = 0 : i64, index = array<i64: 1>, loops = ["8@t"], section = -1 : i64, maps = [array<i64: 0, 0, 1>, array<i64: 0, 0, 1>, array<i64: -1, 0, 1>, array<i64: -1, 0, 1>], fixes = [array<i64>, array<i64>, array<i64>, array<i64>], operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (!hct_tile.sram, !hct_tile.sram, !hct_tile.sram, !hct_tile.sram, index) -> ()
    // expected-error@+1 {{hct_tile.dropout: operands 2 and 3 are of f32 and i64, and the seed is an i64, the step an f32}}
    "hct_tile.dropout"(%a, %a, %n, %k, %c0) {ratio = 0.5, stream = 0 : i64, index = array<i64: 1, 0>, loops = ["8@t"], section = -1 : i64, maps = [array<i64: 0, 0, 1>, array<i64: 0, 0, 1>, array<i64: -1, 0, 1>, array<i64: -1, 0, 1>], fixes = [array<i64>, array<i64>, array<i64>, array<i64>], operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (!hct_tile.sram, !hct_tile.sram, !hct_tile.sram, !hct_tile.sram, index) -> ()
    // expected-error@+1 {{hct_tile.dropout: ratio -1 is not from 0 to 1}}
    "hct_tile.dropout"(%a, %a, %k, %n, %c0) {ratio = -1.0, stream = 0 : i64, index = array<i64: 1, 0>, loops = ["8@t"], section = -1 : i64, maps = [array<i64: 0, 0, 1>, array<i64: 0, 0, 1>, array<i64: -1, 0, 1>, array<i64: -1, 0, 1>], fixes = [array<i64>, array<i64>, array<i64>, array<i64>], operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (!hct_tile.sram, !hct_tile.sram, !hct_tile.sram, !hct_tile.sram, index) -> ()
    // expected-error@+1 {{hct_tile.dropout: stream 4294967296 is not of 32 bits}}
    "hct_tile.dropout"(%a, %a, %k, %n, %c0) {ratio = 0.5, stream = 4294967296 : i64, index = array<i64: 1, 0>, loops = ["8@t"], section = -1 : i64, maps = [array<i64: 0, 0, 1>, array<i64: 0, 0, 1>, array<i64: -1, 0, 1>, array<i64: -1, 0, 1>], fixes = [array<i64>, array<i64>, array<i64>, array<i64>], operandSegmentSizes = array<i32: 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0>} : (!hct_tile.sram, !hct_tile.sram, !hct_tile.sram, !hct_tile.sram, index) -> ()
    return
  }
}

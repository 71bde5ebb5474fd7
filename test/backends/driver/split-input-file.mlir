// Each part of a split file is compiled on its own, and the dumps are joined by the same separator.
// RUN: %hecaton-opt --split-input-file %s | FileCheck %s
// RUN: %hecaton-opt --split-input-file - < %s | FileCheck %s
// RUN: not %hecaton-opt %s 2>&1 | FileCheck --check-prefix=WHOLE %s
// RUN: not %hecaton-opt --split-input-file --emit=image %s -o %t 2>&1 | FileCheck --check-prefix=IMAGE %s
// RUN: not %hecaton-opt --hct-no-such-pass %s 2>&1 | FileCheck --check-prefix=PASS %s
module {
  func.func @step(%x: tensor<4xf32> {hct.name = "x", hct.role = "input"}) -> (tensor<4xf32> {hct.name = "o", hct.role = "output"}) {
    return %x : tensor<4xf32>
  }
}
// -----
module {
  func.func @step(%y: tensor<5xf32> {hct.name = "y", hct.role = "input"}) -> (tensor<5xf32> {hct.name = "o", hct.role = "output"}) {
    return %y : tensor<5xf32>
  }
}
// CHECK: module
// CHECK: func.func @step(%[[X:.+]]: tensor<4xf32>
// CHECK: return %[[X]] : tensor<4xf32>
// CHECK: {{^}}// -----{{$}}
// CHECK: module
// CHECK: func.func @step(%[[Y:.+]]: tensor<5xf32>
// Without the option the file is one text, which must be one module.
// WHOLE: split-input-file.mlir: error[E0301]: source must contain a single top-level operation, found: 2
// IMAGE: hecaton-opt: --split-input-file gives IR only
// PASS: hecaton-opt: --hct-no-such-pass is not understood

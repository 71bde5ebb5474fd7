// References to data of another size, or of another form, are refused; those of each form are taken as they are.
// RUN: %hecaton-opt --split-input-file --verify-diagnostics %s | FileCheck %s
module {
  // expected-error@+1 {{argument 0: hct.data 'f.bin|0|12|0123456789abcdef' is no reference to data of 16 bytes}}
  func.func @step(%w: tensor<4xf32> {hct.data = "f.bin|0|12|0123456789abcdef", hct.name = "w", hct.role = "param"}) {
    return
  }
}
// -----
module {
  // expected-error@+1 {{argument 0: hct.data 'f.bin|0|16|0123456789ABCDEF' is no reference to data of 16 bytes}}
  func.func @step(%w: tensor<4xf32> {hct.data = "f.bin|0|16|0123456789ABCDEF", hct.name = "w", hct.role = "param"}) {
    return
  }
}
// -----
module {
  // expected-error@+1 {{argument 0: hct.data 'f.bin|-1|16|absent' is no reference to data of 16 bytes}}
  func.func @step(%w: tensor<4xf32> {hct.data = "f.bin|-1|16|absent", hct.name = "w", hct.role = "param"}) {
    return
  }
}
// -----
module {
  // expected-error@+1 {{argument 0: hct.data 'f.bin|0|16' is no reference to data of 16 bytes}}
  func.func @step(%w: tensor<4xf32> {hct.data = "f.bin|0|16", hct.name = "w", hct.role = "param"}) {
    return
  }
}
// -----
module {
  // expected-error@+1 {{argument 0: hct.data '|0|16|absent' is no reference to data of 16 bytes}}
  func.func @step(%w: tensor<4xf32> {hct.data = "|0|16|absent", hct.name = "w", hct.role = "param"}) {
    return
  }
}
// -----
module {
  // expected-error@+1 {{argument 0: hct.data 'f.bin|0|16|0123456789abcdef|elsewhere' is no reference to data of 16 bytes}}
  func.func @step(%w: tensor<4xf32> {hct.data = "f.bin|0|16|0123456789abcdef|elsewhere", hct.name = "w", hct.role = "param"}) {
    return
  }
}
// -----
module {
  // expected-error@+1 {{argument 0: hct.data 'f.bin|0|16|absent|external' is no reference to data of 16 bytes}}
  func.func @step(%w: tensor<4xf32> {hct.data = "f.bin|0|16|absent|external", hct.name = "w", hct.role = "param"}) {
    return
  }
}
// -----
// CHECK: hct.data = "f.bin|0|16|0123456789abcdef"
module {
  func.func @step(%w: tensor<4xf32> {hct.data = "f.bin|0|16|0123456789abcdef", hct.name = "w", hct.role = "param"}) {
    return
  }
}
// -----
// CHECK: hct.data = "../a|b.bin|4096|16|0123456789abcdef|external"
module {
  func.func @step(%w: tensor<4xf32> {hct.data = "../a|b.bin|4096|16|0123456789abcdef|external", hct.name = "w", hct.role = "param"}) {
    return
  }
}
// -----
// CHECK: hct.data = "f.bin|0|16|absent"
module {
  func.func @step(%w: tensor<4xf32> {hct.data = "f.bin|0|16|absent", hct.name = "w", hct.role = "param"}) {
    return
  }
}

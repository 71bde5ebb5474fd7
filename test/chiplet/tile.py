"""Writes tile-level modules as text, compiles and runs them: what the chiplet tests share. Layouts are texts of ir/isa/layout.h; a
global array is held against a layout by its factors, in order, so a view is an index into the array reshaped to them."""
import contextlib
import re
import subprocess
from pathlib import Path

import numpy as np

DTYPES = {"f32": np.float32, "i64": np.int64, "i32": np.int32, "i1": np.bool_}
SEGMENTS = 16  # operands that an operator of any number of operands may have


def factors(layout):
    """Sizes of all factors of a layout, and the shape of its dims."""
    inside = layout[1:layout.index("]")]
    dims = [[int(re.match(r"\d+", f)[0]) for f in dim.split("*")] for dim in inside.split(",")] if inside else []
    return [f for dim in dims for f in dim], [int(np.prod(dim)) for dim in dims]


class Module:
    def __init__(self, tools, rows, cols, batch=1, micro_batch=1, sram_bytes=None):
        self.tools, self.rows, self.cols, self.batch, self.micro_batch = tools, rows, cols, batch, min(micro_batch, batch)
        self.lines, self.indent, self.values, self.tensors = [], "    ", 0, {}
        xml = (tools.bin.parent / "share/hecaton/packages/hecaton-2x2.xml").read_text()
        xml = re.sub(r'rows="2" cols="2"', f'rows="{rows}" cols="{cols}"', xml, count=1)
        xml = re.sub(r'channels="\d+"', f'channels="{2 * (rows + cols)}"', xml)
        if sram_bytes:
            xml = re.sub(r'sram bytes="\d+"', f'sram bytes="{sram_bytes}"', xml)
        self.package = xml.replace("\\", "\\5C").replace('"', "\\22").replace("\n", "\\0A")
        self.constants = {}

    def emit(self, text):
        self.lines.append(self.indent + text)

    def fresh(self):
        self.values += 1
        return f"%v{self.values}"

    def op(self, name, operands, attributes, variadic=True, results=0):
        """operands: texts "%v1" of SRAM buffers; names of tensors begin with %d, indices with %i or %c."""
        kind = {"d": "!hct_tile.tensor", "i": "index", "c": "index"}
        types = ", ".join(kind.get(o[1], "!hct_tile.sram") for o in operands)
        if variadic:
            ones = ", ".join("1" if i < len(operands) else "0" for i in range(SEGMENTS))
            attributes = {**attributes, "operandSegmentSizes": f"array<i32: {ones}>"}
        inside = ", ".join(f"{k} = {v}" for k, v in attributes.items())
        result = self.fresh() if results else None
        head = f"{result} = " if results else ""
        self.emit(f'{head}"hct_tile.{name}"({", ".join(operands)}) {{{inside}}} : ({types}) -> {"!hct_tile.sram" if results else "()"}')
        return result

    def dram(self, name, role, layout, dtype="f32"):
        value = f"%d{len(self.tensors)}"
        self.tensors[name] = (role, layout, dtype)
        self.emit(f'{value} = "hct_tile.dram"() {{dtype = "{dtype}", layout = "{layout}", name = "{name}", role = "{role}"}} : () -> !hct_tile.tensor')
        return value

    def alloc(self, layout, section=-1, dtype="f32"):
        return self.op("alloc", [], {"dtype": f'"{dtype}"', "layout": f'"{layout}"', "section": f"{section} : i64"}, variadic=False, results=1)

    def piece(self, layout, first, elements, dtype="f32"):
        return self.op("alloc", [], {"dtype": f'"{dtype}"', "layout": f'"{layout}"', "section": "-1 : i64", "range": f"array<i64: {first}, {elements}>"}, variadic=False, results=1)

    def alias(self, buffer, layout, section=-1):
        return self.op("alias", [buffer], {"layout": f'"{layout}"', "section": f"{section} : i64"}, variadic=False, results=1)

    def index(self, number):
        """Defined where it is used: constants have no effect."""
        value = f"%c{number}_{len(self.lines)}"
        self.emit(f"{value} = arith.constant {number} : index")
        return value

    @contextlib.contextmanager
    def loop(self, trips):
        low, high, step = self.index(0), self.index(trips), self.index(1)
        counter = f"%i{len(self.lines)}"
        self.emit(f"scf.for {counter} = {low} to {high} step {step} {{")
        self.indent += "  "
        yield counter
        self.indent = self.indent[:-2]
        self.emit("}")

    def sections(self):
        """(section, index) of the loop over full micro-batches, then of the last one; use as `for section, t in m.sections(): ...`."""
        if self.batch // self.micro_batch:
            with self.loop(self.batch // self.micro_batch) as t:
                yield 0, t
        if self.batch % self.micro_batch:
            yield 1, self.index(self.batch // self.micro_batch)

    def load(self, buffer, tensor, *t):
        self.op("load", [buffer, tensor, *t], {})

    def store(self, tensor, buffer, *t):
        self.op("store", [tensor, buffer, *t], {})

    def nest(self, name, operands, loops, maps, fixes=None, section=-1, variadic=True, **attributes):
        """maps: one list an operand of (factor, start, step) or None, by loop. fixes: one dict factor -> index an operand."""
        flat = ["array<i64: " + ", ".join(f"{a}, {b}, {c}" for a, b, c in (w or (-1, 0, 1) for w in m)) + ">" if m else "array<i64>" for m in maps]
        pairs = [", ".join(f"{f}, {i}" for f, i in (x or {}).items()) for x in fixes or [{}] * len(maps)]
        text = {"loops": "[" + ", ".join(f'"{x}"' for x in loops) + "]", "maps": "[" + ", ".join(flat) + "]",
                "fixes": "[" + ", ".join(f"array<i64: {p}>" if p else "array<i64>" for p in pairs) + "]", "section": f"{section} : i64"}
        self.op(name, operands, {**text, **attributes}, variadic)

    def copy_part(self, whole, part, axis, factor, section, direction, *t):
        self.op("copy_part", [whole, part, *t], {"axis": f'"{axis}"', "factor": f"{factor} : i64", "section": f"{section} : i64", "direction": f'"{direction}"'})

    def ring(self, step, buffer, axis, factor, collective, kind=None, lane=0, within=None):
        """axis r, c, f0, f1; rc: half of each part along the flat ring in either direction."""
        if axis == "rc":
            self.ring(step, buffer, "f0", factor, collective, kind, 1)
            self.ring(step, buffer, "f1", factor, collective, kind, 2)
            return
        with self.loop({"r": self.rows, "c": self.cols}.get(axis, self.rows * self.cols) - 1) as s:
            attributes = {"axis": f'"{axis}"', "factor": f"{factor} : i64", "hct.collective": f'"{collective}"'}
            if lane:
                attributes["lane"] = f"{lane} : i64"
            if within:
                attributes["within"] = f'"{within}"'
            if kind:
                attributes["kind"] = f'"{kind}"'
            self.op(step, [buffer, s], attributes, variadic=False)

    def all_gather(self, whole, part, axis, factor, section=-1):
        self.copy_part(whole, part, axis, factor, section, "in")
        self.ring("gather_step", whole, axis, factor, "all_gather")

    def reduce_scatter(self, whole, part, axis, factor, section=-1, kind="sum"):
        self.ring("scatter_step", whole, axis, factor, "reduce_scatter", kind)
        self.copy_part(whole, part, axis, factor, section, "out")

    def all_reduce(self, buffer, axis, kind="sum"):
        self.ring("scatter_step", buffer, axis, -1, "all_reduce", kind)
        self.ring("gather_step", buffer, axis, -1, "all_reduce")

    def torus_all_reduce(self, buffer, kind="sum"):
        """Through rows and columns, and the other way round, at once."""
        for step, axis, lane, within in (("scatter", "c", 1, None), ("scatter", "r", 2, None), ("scatter", "r", 1, "c"), ("scatter", "c", 2, "r"),
                                         ("gather", "r", 1, "c"), ("gather", "c", 2, "r"), ("gather", "c", 1, None), ("gather", "r", 2, None)):
            self.ring(f"{step}_step", buffer, axis, -1, "all_reduce", kind if step == "scatter" else None, lane, within)

    def text(self):
        return (f'module attributes {{hct.batch = {self.batch} : i64, hct.micro_batch = {self.micro_batch} : i64, hct.done = "hct-lower-to-tile", '
                f'hct.package = "{self.package}"}} {{\n  func.func @step() {{\n' + "\n".join(self.lines) + "\n    return\n  }\n}\n")


class Tools:
    def __init__(self, binaries, work):
        self.bin, self.work = Path(binaries).resolve(), Path(work)
        self.work.mkdir(parents=True, exist_ok=True)

    def run(self, *arguments):
        return subprocess.run([str(a) for a in arguments], capture_output=True, text=True)

    def must(self, *arguments):
        done = self.run(*arguments)
        if done.returncode:
            raise AssertionError(f"{' '.join(map(str, arguments))}\nexit status {done.returncode}\n{done.stderr}")
        return done.stdout

    def compile(self, module, emit="image"):
        source, out = self.work / "program.mlir", self.work / f"program.{emit}"
        source.write_text(module.text())
        self.must(self.bin / "hecaton-opt", source, f"--emit={emit}", "-o", out)
        return out

    def outputs(self, module, image, inputs, *options):
        arguments = []
        for name, array in inputs.items():
            np.save(self.work / f"{name}.npy", np.ascontiguousarray(array))
            arguments += ["--input", f"{name}={self.work / name}.npy"]
        wanted = [n for n, (role, _, _) in module.tensors.items() if role == "output"]
        for name in wanted:
            arguments += ["--output", f"{name}={self.work / name}.npy"]
        self.must(self.bin / "hecaton-sim", image, *arguments, *options)
        return {n: np.load(self.work / f"{n}.npy") for n in wanted}

    def check(self, module, inputs, expected, tolerance=0.0, seeds=(1, 2, 3)):
        """Compiles, proves the streams free of races, runs in both simulators and again with perturbed latencies."""
        image = self.compile(module)
        self.must(self.bin / "hecaton-objdump", "--verify", image)
        got = self.outputs(module, image, inputs)
        for name, want in expected.items():
            error = np.abs(got[name].astype(np.float64) - want).max(initial=0)
            assert got[name].shape == want.shape and error <= tolerance, f"output {name}: off by {error}\n{got[name]}\nwanted\n{want}"
        for seed in seeds:
            again = self.outputs(module, image, inputs, "--mode=functional", f"--jitter={seed}")
            assert all(np.array_equal(again[n], got[n]) for n in got), f"--jitter={seed} changed numbers"
        return image

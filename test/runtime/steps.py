#!/usr/bin/env python3
"""Inputs that are given step by step: each step's loss against NumPy's, from .npy files of two element types and from TensorProto; a file that is cut while a
run goes on is refused.

usage: steps.py BIN_DIRECTORY WORK_DIRECTORY
"""
import json
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(Path(__file__).parent.parent))
from checks import check, finish  # noqa: E402

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
shutil.rmtree(WORK, ignore_errors=True)
WORK.mkdir(parents=True)
os.chdir(WORK)
SIM, STEPS, MANY = str(BIN / "hecaton-sim"), 5, 100000


# loss = mean(x * w + y), w of ones and trained by SGD without a rate: it stays.
nodes = [helper.make_node("Mul", ["x", "w"], ["a"]), helper.make_node("Add", ["a", "y"], ["b"]), helper.make_node("ReduceMean", ["b"], ["loss"], keepdims=0)]
info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [4, 6]) for n in "xy"]
graph = helper.make_graph(nodes, "g", info, [helper.make_tensor_value_info("loss", TensorProto.FLOAT, [])], [numpy_helper.from_array(np.ones(6, np.float32), "w")])
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), "m.onnx")
rng = np.random.default_rng(2)
x, y = rng.standard_normal((STEPS, 4, 6)).astype(np.float32), rng.standard_normal((4, 6)).astype(np.float32)
wanted = [float(x[s].astype(np.float64).mean() + y.astype(np.float64).mean()) for s in range(STEPS)]
np.save("x.npy", x), np.save("x64.npy", x.astype(np.float64)), np.save("y.npy", y)
Path("x.pb").write_bytes(numpy_helper.from_array(x, "x").SerializeToString())
with open("v2.npy", "wb") as file:
    np.lib.format.write_array(file, x, version=(2, 0))
for backend in ("chiplet", "host"):
    program = f"./{backend}.hct"
    subprocess.run([str(BIN / "hecaton-compile"), "m.onnx", "-o", program, "--mesh=1x2", f"--backend={backend}", "--optimizer=sgd", "--lr=0"], check=True, capture_output=True)

    def run(source, steps, *more):
        return subprocess.run([SIM, program, "--mode=functional", "--input", f"x={source}", "--input", "y=y.npy", f"--steps={steps}", "--report=report.json", *more], capture_output=True, text=True)

    for source in ("x.npy", "x64.npy", "x.pb", "v2.npy"):
        result = run(source, STEPS)
        losses = json.load(open("report.json"))["loss"] if not result.returncode else []
        check(f"{backend}: {source}", len(losses) == STEPS and np.allclose(losses, wanted, rtol=1e-5, atol=1e-6), f"{losses}\n{wanted}\n{result.stderr}")
    run("x.npy", 3, "--checkpoint=ck")
    result = run("x64.npy", STEPS, "--resume=ck")
    check(f"{backend}: a run that goes on takes the steps that are left", np.allclose(json.load(open("report.json"))["loss"], wanted, rtol=1e-5, atol=1e-6), result.stderr)
    result = run("x.npy", STEPS + 1)
    check(f"{backend}: more steps than there are", result.returncode == 1 and f"input 'x' has {STEPS} steps; --steps={STEPS + 1}" in result.stderr, result.stderr)
    with open("long.npy", "wb") as file:
        np.lib.format.write_array_header_1_0(file, {"descr": "<f4", "fortran_order": False, "shape": (MANY, 4, 6)})
        file.truncate(file.tell() + MANY * 4 * 6 * 4)
    Path("long.ck").unlink(missing_ok=True)
    process = subprocess.Popen([SIM, program, "--mode=functional", "--input", "x=long.npy", "--input", "y=y.npy", f"--steps={MANY}", "--checkpoint=long.ck", "--checkpoint-every=10"], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while process.poll() is None and not Path("long.ck").exists():
        time.sleep(0.01)
    os.truncate("long.npy", 1000)
    said = process.communicate()[1]
    check(f"{backend}: cut while it is read", process.returncode == 1 and "long.npy: error[E0701]: it has been cut" in said, f"{process.returncode}\n{said}")
# A loss that is no number keeps its place.
broken = y.copy()
broken[1, 2] = np.inf
np.save("broken.npy", np.stack([y, broken, np.full_like(y, np.nan), y]))
for backend in ("chiplet", "host"):
    result = subprocess.run([SIM, f"./{backend}.hct", "--mode=functional", "--input", "x=x.npy", "--input", "y=broken.npy", "--steps=4", "--report=report.json"], capture_output=True, text=True)
    losses = json.load(open("report.json"))["loss"]
    check(f"{backend}: losses that are no numbers", [v is None for v in losses] == [False, True, True, False], losses)
    check(f"{backend}: losses that are no numbers are said", "step   1  loss inf\nstep   2  loss nan\n" in result.stdout and "the loss is not finite in 2 of 4 steps, first in step 1" in result.stdout, result.stdout)
# An input that nothing in the program needs may be given, and one that the model has not is refused.
graph.input.append(helper.make_tensor_value_info("spare", TensorProto.FLOAT, [3]))
onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), "spare.onnx")
subprocess.run([str(BIN / "hecaton-compile"), "spare.onnx", "-o", "spare.hct", "--mesh=1x2"], check=True, capture_output=True)
for name, status in (("spare", 0), ("nobody", 1)):
    result = subprocess.run([SIM, "spare.hct", "--mode=functional", "--input", "x=x.npy", "--input", "y=y.npy", "--input", f"{name}=y.npy"], capture_output=True, text=True)
    check(f"input {name}", result.returncode == status, result.stderr)

finish()

#!/usr/bin/env python3
"""An output that names a file that the run reads, or another output, is refused before the run, however it is spelled; what was there stays as it was.
Where a disk or a limit on files has no room for a host program, that is said. "-" is standard output, of every tool.

usage: outputs.py BIN_DIRECTORY WORK_DIRECTORY
"""
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from checks import check, done, finish, run, tools_from  # noqa: E402

tools_from(sys.argv[1])
WORK = Path(sys.argv[2])
shutil.rmtree(WORK, ignore_errors=True)
WORK.mkdir(parents=True)
os.chdir(WORK)

done("hecaton-model", "gpt2", "--layers=1", "--hidden=16", "--heads=2", "--vocab=16", "--seq=4", "--batch=1", "-o", "good.onnx")
done("hecaton-compile", "good.onnx", "-o", "good.hct", "--mesh=1x2")
done("hecaton-compile", "good.onnx", "-o", "good.so", "--backend=host")
done("hecaton-compile", "good.onnx", "--emit=step", "-o", "step.mlir")
np.save("ids.npy", np.zeros((1, 4), np.int64)), np.save("labels.npy", np.zeros((1, 4), np.int64)), np.save("lr.npy", np.ones(2, np.float32))
shutil.copy("good.hct", "ck.previous")
shutil.copy(Path(sys.argv[1]).parent / "share/hecaton/packages/hecaton-2x2.xml", "package.xml")
os.symlink("good.hct", "symbolic.hct"), os.link("good.hct", "hard.hct")


def refused(says, *args, others=("hint: another file for ",)):
    before = {path.name: path.read_bytes() for path in WORK.iterdir()}
    result = run(*args)
    after = {path.name: path.read_bytes() for path in WORK.iterdir()}
    check(" ".join(map(str, args)), result.returncode == 1 and any(line.startswith(says) for line in result.stderr.splitlines()) and not result.stdout and all(o in result.stderr for o in others) and before == after, result.stderr)


# ---- an input ----
given = ["--input", "ids=ids.npy", "--input", "labels=labels.npy", "--mode=functional"]
for program in ("good.hct", "good.so"):
    for option in (["--checkpoint", program], ["--save-model", program], ["--report", program], ["--output", f"loss={program}"]):
        refused(f"{program}: error[E0801]: {option[0]}{' loss' * ('=' in option[1])} is to write this file, which is the program", "hecaton-sim", program, *given, *option)
    refused("ids.npy: error[E0801]: --report is to write this file, which is --input ids", "hecaton-sim", program, *given, "--report=ids.npy")
    refused("lr.npy: error[E0801]: --save-model is to write this file, which is --set lr", "hecaton-sim", program, *given, "--set", "lr=lr.npy", "--save-model=lr.npy")
    refused("good.onnx: error[E0801]: --save-model is to write this file, which is the model that the program was compiled from", "hecaton-sim", program, *given, "--save-model=good.onnx")
refused("good.hct: error[E0801]: --report is to write this file, which is the program", "hecaton-sim", "good.hct", "--mode=timing", "--report=good.hct")
for other in ("symbolic.hct", "hard.hct", "./good.hct"):
    refused("good.hct: error[E0801]: --report is to write this file, which is the program", "hecaton-sim", other, *given, "--report=good.hct", others=[f"note: the program is given as '{other}', the same file"])
refused("ck.previous: error[E0801]: --checkpoint (FILE.previous) is to write this file, which is the program", "hecaton-sim", "ck.previous", *given, "--checkpoint=ck")
refused("good.onnx: error[E0801]: -o is to write this file, which is the model", "hecaton-compile", "good.onnx", "-o", "good.onnx")
refused("good.onnx: error[E0801]: --report is to write this file, which is the model", "hecaton-compile", "good.onnx", "-o", "out", "--report=good.onnx")
refused("package.xml: error[E0801]: -o is to write this file, which is the --package", "hecaton-compile", "good.onnx", "--package=package.xml", "-o", "package.xml")
refused("step.mlir: error[E0801]: -o is to write this file, which is the input", "hecaton-opt", "step.mlir", "-o", "step.mlir")
refused("good.onnx: error[E0801]: -o is to write this file, which is the model that it was imported from", "hecaton-opt", "step.mlir", "--emit=image", "-o", "good.onnx")
Path("good.hctasm").write_text(done("hecaton-objdump", "--text", "good.hct").stdout)
refused("good.hctasm: error[E0801]: -o is to write this file, which is the input", "hecaton-as", "good.hctasm", "-o", "good.hctasm")
refused("good.onnx: error[E0801]: -o is to write this file, which is the model", "hecaton-compare", "good.onnx", "--strategies=hecaton", "-o", "good.onnx")

# External data, whether it is there or not.
done("hecaton-model", "gpt2", "--layers=1", "--hidden=16", "--heads=2", "--vocab=16", "--seq=4", "--batch=2", "--no-weights", "-o", "away.onnx")
refused("away.onnx.data: error[E0801]: -o is to write this file, which is a file of the model's weights", "hecaton-compile", "away.onnx", "-o", "away.onnx.data")

# ---- two outputs ----
refused("new: error[E0801]: --output loss is to write this file, and so is --output param:head.weight", "hecaton-sim", "good.hct", *given, "--output=loss=new", "--output=param:head.weight=./new",
        others=["note: --output param:head.weight is given as './new', the same file"])
refused("new: error[E0801]: -o is to write this file, and so is --report", "hecaton-compile", "good.onnx", "-o", "new", "--report=new")
refused("<stdout>: error[E0801]: -o is to write this file, and so is --report", "hecaton-compile", "good.onnx", "-o", "-", "--report=-")

# ---- where nothing can be written: before anything is done ----
for program in ("good.hct", "good.so"):
    for option in (["--report", "nowhere/r"], ["--checkpoint", "nowhere/c"], ["--save-model", "nowhere/m"], ["--output", "loss=nowhere/o"]):
        refused(f"nowhere/{option[1][-1]}: error[E0101]: cannot write: No such file or directory", "hecaton-sim", program, *given, *option, others=[f"note: {option[0]}"])
    refused("error[E0801]: --report: the name of its file is empty", "hecaton-sim", program, *given, "--report=", others=[])
refused("nowhere/r: error[E0101]: cannot write: No such file or directory", "hecaton-compile", "good.onnx", "-o", "new", "--report=nowhere/r", others=["note: --report is to write it"])
refused(f"{WORK}: error[E0101]: cannot write: it is a directory", "hecaton-compile", "good.onnx", "-o", WORK, others=[])

# ---- what may be one file: a checkpoint that is resumed, devices; and names of packages are no files ----
done("hecaton-sim", "good.hct", *given, "--checkpoint=kept")
done("hecaton-sim", "good.hct", *given, "--checkpoint=kept", "--resume=kept", "--steps=2")
done("hecaton-sim", "good.hct", *given, "--checkpoint=kept", "--resume=kept.previous", "--steps=2")
done("hecaton-sim", "good.hct", *given, "--report=/dev/null", "--output=loss=/dev/null", "--save-model=/dev/null")
for _ in range(2):
    done("hecaton-compile", "good.onnx", "-o", "hecaton-2x2", "--package=hecaton-2x2")

# ---- standard output ----
for level in ("onnx", "graph", "step", "dist", "tile", "isa", "image"):
    there, here = WORK / f"at.{level}", WORK / f"here.{level}"
    done("hecaton-compile", "good.onnx", f"--emit={level}", "-o", there)
    with here.open("wb") as stream:
        run_to = subprocess.run(["hecaton-compile", "good.onnx", f"--emit={level}", "-o", "-"], stdout=stream, stderr=subprocess.DEVNULL)
    check(f"--emit={level} -o -", run_to.returncode == 0 and there.read_bytes() == here.read_bytes() and here.stat().st_size > 0)
check("hecaton-model -o -", subprocess.run(["hecaton-model", "gpt2", "--layers=1", "--hidden=16", "--heads=2", "--vocab=16", "--seq=4", "--batch=1", "-o", "-"], capture_output=True).stdout == Path("good.onnx").read_bytes())
result = done("hecaton-sim", "good.hct", *given, "--report=-")
check("hecaton-sim --report=-", json.loads(result.stdout)["schema"] == "hecaton-report/1" and "step   0  loss" in result.stderr, result.stderr)
check("no file is named -", not Path("-").exists())
for level in ("tile", "isa", "image"):
    with open("/dev/full", "wb") as full:
        result = subprocess.run(["hecaton-compile", "good.onnx", f"--emit={level}", "-o", "-"], stdout=full, stderr=subprocess.PIPE, text=True)
    check(f"--emit={level} to a full device", result.returncode == 1 and "<stdout>: error[E0101]: cannot write: No space left on device" in result.stderr, result.stderr)

# ---- host programs where there is no room ----
temporary, fake = WORK / "temporary", WORK / "fake"
temporary.mkdir(), fake.mkdir()
os.environ["TMPDIR"] = str(temporary)
for blocks in (0, 1, 16, 32):
    result = run("/bin/bash", "-c", f'ulimit -f {blocks}; exec "$@"', "-", "hecaton-compile", "good.onnx", "--backend=host", "-o", "large.so")
    check(f"host program of {blocks} KiB", result.returncode == 1 and "error[E0101]: cannot write: File too large" in result.stderr and "note: it is a temporary file of --backend=host" in result.stderr, result.stderr)
(fake / "cc").write_text("#!/bin/sh\necho the linker has no room >&2\nexit 3\n")
(fake / "cc").chmod(0o755)
path = os.environ["PATH"]
os.environ["PATH"] = f"{fake}{os.pathsep}{path}"
result = run("hecaton-compile", "good.onnx", "--backend=host", "-o", "large.so")
check("a linker that fails", result.returncode == 1 and "cc, which links host programs there, failed with status 3\n  note: the linker has no room" in result.stderr, result.stderr)
os.environ["PATH"] = path
(fake / "bin").mkdir(), (fake / "share").symlink_to(Path(sys.argv[1]).parent / "share")
shutil.copy(shutil.which("hecaton-compile"), fake / "bin")
result = run(fake / "bin/hecaton-compile", "good.onnx", "--backend=host", "-o", "large.so")
check("no hecaton-host-codegen", result.returncode == 1 and f"{fake}/bin/hecaton-host-codegen: error[E0101]: it cannot be run: No such file or directory\n  hint: it is built beside" in result.stderr, result.stderr)
(fake / "bin/hecaton-host-codegen").write_text("#!/bin/sh\necho it has no room >&2\nexit 1\n")
(fake / "bin/hecaton-host-codegen").chmod(0o755)
result = run(fake / "bin/hecaton-compile", "good.onnx", "--backend=host", "-o", "large.so")
check("hecaton-host-codegen fails", result.returncode == 1 and "hecaton-host-codegen, which makes native code there, failed with status 1\n  note: it has no room" in result.stderr, result.stderr)
os.environ["TMPDIR"] = str(WORK / "nowhere")
result = run("hecaton-compile", "good.onnx", "--backend=host", "-o", "large.so")
check("no folder for temporary files", result.returncode == 1 and "nowhere/hecaton-" in result.stderr and "it cannot be made: No such file or directory" in result.stderr, result.stderr)
result = run("hecaton-compile", "good.onnx", "--emit=graph", "-o", "-")
check("no folder for what goes to standard output", result.returncode == 1 and "nowhere/hecaton.tmp." in result.stderr, result.stderr)
left = [p.name for p in WORK.iterdir() if p.name.startswith("large") or ".tmp." in p.name] + list(temporary.iterdir())
check("nothing is left", not left, str(left))
finish()

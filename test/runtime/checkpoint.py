#!/usr/bin/env python3
"""Checkpoints: runs are killed, at random moments and before and after every call that changes files, and resumed; parameters, states and losses must be
those of a run in one piece, bit for bit. Then what is refused.

usage: checkpoint.py BIN_DIRECTORY WORK_DIRECTORY
"""
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx

sys.path.insert(0, str(Path(__file__).parent.parent))
from checks import check, done, finish, run  # noqa: E402

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
shutil.rmtree(WORK, ignore_errors=True)
WORK.mkdir(parents=True)
os.chdir(WORK)
SIM = str(BIN / "hecaton-sim")
random.seed(7)


def refused(name, result, *wanted):
    check(name, result.returncode == 1 and "error[E" in result.stderr and all(w in result.stderr for w in wanted), f"exit status {result.returncode}\n{result.stderr}")


def model(name, *options):
    done(BIN / "hecaton-model", "gpt2", "--layers=1", "--hidden=16", "--heads=2", "--vocab=24", "--seq=8", "--batch=4", "--seed=3", *options, "-o", name)


def compiled(name, *options, source="gpt.onnx"):
    done(BIN / "hecaton-compile", source, "-o", name, *options)


STEPS = 24
model("gpt.onnx")
parameters = [t.name for t in onnx.load("gpt.onnx").graph.initializer]
tokens = np.random.default_rng(5).integers(0, 24, (STEPS, 4, 9))
np.save("ids.npy", tokens[:, :, :8]), np.save("labels.npy", tokens[:, :, 1:])
INPUTS = ["--mode=functional", "--input", "ids=ids.npy", "--input", "labels=labels.npy"]
OUTPUTS = [a for i, n in enumerate(parameters) for a in ("--output", f"param:{n}={i}.npy")]


def command(program, file, steps=STEPS, every=1, resume=False):
    return [SIM, program, *INPUTS, f"--steps={steps}", f"--checkpoint={file}", f"--checkpoint-every={every}", *([f"--resume={file}"] if resume else [])]


def there(file):
    return any(Path(f).exists() for f in (file, f"{file}.previous"))


def forget(file):
    for old in Path().glob(f"{file}*"):
        old.unlink()


def results(program, file, resume):
    """Losses, parameters, and the whole checkpoint, in which states are, too."""
    done(*command(program, file, resume=resume), "--report=report.json", *OUTPUTS)
    return json.load(open("report.json"))["loss"], [Path(f"{i}.npy").read_bytes() for i in range(len(parameters))], Path(file).read_bytes()


# Ends the process before (odd KILL_AT) or after (even) the n-th call that changes what files there are.
Path("kill.c").write_text("""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
static int calls;
static void moment(void) { const char *at = getenv("KILL_AT"); if (at && ++calls == atoi(at)) raise(SIGKILL); }
#define WRAP(name, parameters, ...) int name parameters { int (*real) parameters = (int (*) parameters)dlsym(RTLD_NEXT, #name); moment(); int got = real(__VA_ARGS__); moment(); return got; }
WRAP(rename, (const char *from, const char *to), from, to)
WRAP(fsync, (int fd), fd)
WRAP(mkostemp, (char *name, int flags), name, flags)
WRAP(unlinkat, (int fd, const char *name, int flags), fd, name, flags)
""")
done("cc", "-shared", "-fPIC", "-o", "kill.so", "kill.c", "-ldl")


def kill_at(n):
    return dict(os.environ, LD_PRELOAD="./kill.so", KILL_AT=str(n), ASAN_OPTIONS=os.environ.get("ASAN_OPTIONS", "") + ":verify_asan_link_order=0")


def killed_at_random(label, program, whole):
    """Killed until so many kills have met it; it goes on each time, if only by a step."""
    forget("kill.ck")
    kills, resumed, began = 0, 0, time.monotonic()
    done(*command(program, "time.ck"))
    usual = time.monotonic() - began
    while kills < 8:
        if there("kill.ck") and steps_done("kill.ck") == STEPS:
            forget("kill.ck")
        resume = there("kill.ck")
        process = subprocess.Popen(command(program, "kill.ck", resume=resume), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
        time.sleep(random.uniform(0, usual))
        process.kill()
        said = process.communicate()[1]
        check(f"{label}: killed, not refused", process.returncode in (-signal.SIGKILL, 0), said)
        kills += process.returncode == -signal.SIGKILL
        resumed += resume
        check(f"{label}: one whole checkpoint", not resume or there("kill.ck"))
    check(f"{label}: runs were resumed", resumed >= 3, resumed)
    check(f"{label}: the same after {kills} kills", results(program, "kill.ck", there("kill.ck") and steps_done("kill.ck") < STEPS) == whole)


def steps_done(file):
    """Of the table at the end of the last whole one."""
    for name in (file, f"{file}.previous"):
        if Path(name).exists():
            data = Path(name).read_bytes()
            return json.loads(data[int.from_bytes(data[16:24], "little"):])["steps"]


def killed_everywhere(label, program, whole):
    ends, met = 0, set()
    for n in range(1, 200):
        forget("kill.ck")
        result = run(*command(program, "kill.ck", every=12), env=kill_at(n))
        if result.returncode == 0:
            ends = n
            break
        check(f"{label}: killed at {n}", result.returncode == -signal.SIGKILL, result.stderr)
        met.add((Path("kill.ck").exists(), Path("kill.ck.previous").exists()))
        resume = there("kill.ck")
        if resume and steps_done("kill.ck") == STEPS:
            check(f"{label}: complete when killed at {n}", Path("kill.ck").read_bytes() == whole[2])
            continue
        check(f"{label}: the same after it was killed at {n}", results(program, "kill.ck", resume) == whole)
        check(f"{label}: no temporaries when killed at {n}", not list(Path().glob("kill.ck.tmp.*")))
    check(f"{label}: all moments were met", ends > 15 and met == {(False, False), (True, False), (False, True), (True, True)}, (ends, met))


PROGRAMS = {"f32 adamw": ["--package=hecaton-2x2", "--micro-batch=2"], "bf16 momentum": ["--package=hecaton-2x2", "--micro-batch=2", "--dtype=bf16", "--optimizer=momentum"],
            "bf16 adamw, weights in pieces": ["--mesh=1x2", "--dtype=bf16", "--weight-pieces=2"], "host adam": ["--backend=host", "--optimizer=adam"]}
for number, (label, options) in enumerate(PROGRAMS.items()):
    program = f"./{number}.hct"
    compiled(program, *options)
    whole = results(program, "whole.ck", False)
    check(f"{label}: it learns", whole[0][-1] != whole[0][0] and len(whole[0]) == STEPS)
    killed_at_random(label, program, whole)
    if number in (0, 3):
        killed_everywhere(label, program, whole)

# ---- other meshes, types and backends go on, if not to the same bits ----
done(*command("./0.hct", "half.ck", steps=STEPS // 2, every=1000))
whole = results("./0.hct", "whole.ck", False)
for label, options in {"another mesh": ["--mesh=1x3"], "another type": ["--mesh=1x2", "--dtype=bf16"], "host": ["--backend=host"]}.items():
    compiled("./other.hct", *options)
    done(SIM, "./other.hct", *INPUTS, f"--steps={STEPS}", "--resume=half.ck", "--report=report.json")
    losses = json.load(open("report.json"))["loss"]
    check(f"{label}: all losses, the first those of the run resumed", losses[:STEPS // 2] == whole[0][:STEPS // 2] and np.allclose(losses, whole[0], rtol=1e-2 if "type" in label else 1e-4), losses)

# ---- no step left ----
again = done(SIM, "./0.hct", *INPUTS[1:], f"--steps={STEPS}", "--resume=whole.ck", "--report=report.json", *OUTPUTS)
check("the same parameters without a step", [Path(f"{i}.npy").read_bytes() for i in range(len(parameters))] == whole[1])
check("the same counts without a step", json.load(open("report.json"))["traffic"]["nop_injected_bytes"] > 0 and json.load(open("report.json"))["loss"] == whole[0])
refused("an output of no step", run(SIM, "./0.hct", *INPUTS, f"--steps={STEPS}", "--resume=whole.ck", "--output", "loss=loss.npy"), "no step is left to compute 'loss'", f"--steps={STEPS + 1}")
refused("steps count from the beginning", run(SIM, "./0.hct", *INPUTS, "--steps=3", "--resume=whole.ck"), f"whole.ck: error[E0705]: {STEPS} steps are done; --steps=3")

# ---- corrupt ----
good = Path("half.ck").read_bytes()
older, resume = Path("whole.ck").read_bytes(), [SIM, "./0.hct", *INPUTS, f"--steps={STEPS}", "--resume=bad.ck"]
table = int.from_bytes(good[16:24], "little")
places = [*range(48), *random.sample(range(48, table), 24), *random.sample(range(table, len(good)), 24), table, table - 1, len(good) - 1]
for at in places:
    Path("bad.ck").write_bytes(good[:at] + bytes([good[at] ^ 1 << random.randrange(8)]) + good[at + 1:])
    refused(f"a flipped bit at {at}", run(*resume), "bad.ck: error[E0705]", "bad.ck.previous")
for length in [0, 1, 47, 48, 49, table - 1, table, table + 1, len(good) - 1]:
    Path("bad.ck").write_bytes(good[:length])
    refused(f"cut to {length}", run(*resume), "bad.ck: error[E0705]")
Path("bad.ck").write_bytes(good + b"\0")
refused("a byte more", run(*resume), "bad.ck: error[E0705]", f"it has {len(good) + 1} bytes")
Path("bad.ck").unlink()
refused("missing", run(*resume), "bad.ck: error[E0705]: cannot open: No such file")
Path("bad.ck").mkdir()
refused("a folder", run(*resume), "bad.ck: error[E0705]", "regular file")
Path("bad.ck").rmdir()

# ---- the last good one ----
Path("bad.ck.previous").write_bytes(good)
for label, content in {"corrupt": good[:-1] + b"?", "missing": None}.items():
    if content:
        Path("bad.ck").write_bytes(content)
    result = run(*resume, "--checkpoint=bad.ck", f"--checkpoint-every={STEPS // 4}", *OUTPUTS)
    check(f"{label}: the one before is used, and said so", result.returncode == 0 and "bad.ck: warning" in result.stderr and f"bad.ck.previous, after {STEPS // 2} steps" in result.stderr, result.stderr)
    check(f"{label}: to the same end", Path("bad.ck").read_bytes() == whole[2])
    Path("bad.ck").unlink()
    Path("bad.ck.previous").write_bytes(good)
Path("bad.ck").write_bytes(good[:-1] + b"?")
done(SIM, "./0.hct", *INPUTS, f"--steps={STEPS // 2 + 1}", "--resume=bad.ck", "--checkpoint=bad.ck")
check("a corrupt one does not take a good one's place", Path("bad.ck.previous").read_bytes() == good and steps_done("bad.ck") == STEPS // 2 + 1)

# ---- foreign ----
for label, source, options, wanted in [
        ("another size", "wide.onnx", [], ["of another program", "f32[24,16]; the program's is f32[24,32]", "more differences"]),
        ("another optimizer", "gpt.onnx", ["--optimizer=adam"], ["--optimizer=adamw", "--optimizer=adam"]),
        ("more layers", "deep.onnx", [], ["it has no param 'layers.1.", "more differences"]),
        ("fewer trained", "gpt.onnx", ["--frozen=embed.*"], ["it has state 'm:embed.weight'; the program has none"])]:
    model("wide.onnx", "--hidden=32"), model("deep.onnx", "--layers=2")
    compiled("./foreign.hct", "--mesh=1x2", *options, source=source)
    refused(label, run(SIM, "./foreign.hct", *INPUTS, f"--steps={STEPS}", "--resume=half.ck"), "half.ck: error[E0705]", *wanted)
compiled("./infer.hct", "--mesh=1x2", "--mode=infer")
refused("nothing is trained", run(SIM, "./infer.hct", *INPUTS, "--checkpoint=no.ck"), "--checkpoint=no.ck", "--mode=infer")
refused("no numbers", run(SIM, "./0.hct", "--mode=timing", "--resume=half.ck"), "--resume=half.ck", "--mode=functional")
refused("every without", run(SIM, "./0.hct", *INPUTS, "--checkpoint-every=5"), "--checkpoint-every=5", "--checkpoint=FILE")
refused("every nothing", run(SIM, "./0.hct", *INPUTS, "--checkpoint=no.ck", "--checkpoint-every=0"), "--checkpoint-every=0")
refused("an unwritable folder", run(SIM, "./0.hct", *INPUTS, "--checkpoint=nowhere/no.ck"), "nowhere/no.ck: error[E0101]")
check("nothing was written", not list(Path().glob("no.ck*")))
finish()

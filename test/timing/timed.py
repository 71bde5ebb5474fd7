"""Timing runs and their reports, for scripts that are given BIN_DIRECTORY WORK_DIRECTORY."""
import json
import subprocess
import sys
from pathlib import Path

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])


def run(*args):
    done = subprocess.run([str(a) for a in args], capture_output=True, text=True)
    assert done.returncode == 0, f"{args}\n{done.stderr}"
    return done.stdout


def report(image, *options):
    """The report of a timing run, and what the simulator says of itself."""
    run(BIN / "hecaton-sim", image, "--mode=timing", "--report", WORK / "r.json", *options)
    whole = json.loads((WORK / "r.json").read_text())
    return whole, whole.pop("simulator")

#!/usr/bin/env python3
"""hecaton-compile --report against hecaton-sim --report of the same program: what is counted is equal, what is timed is within 10 %.

usage: prediction.py BIN_DIRECTORY WORK_DIRECTORY
"""
import json
import subprocess
import sys
from pathlib import Path

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
WORK.mkdir(parents=True, exist_ok=True)
OF_RUNS = {"loss", "time.predicted_step_s", "time.prediction_error", "simulator.wall_s", "simulator.threads"}  # and not of predictions
COUNTED = ("program", "package", "steps", "collectives", "compute.macs", "compute.model_flops", "sram", "dram", "simulator.instructions")
TRAFFIC = ("dram_read_bytes", "dram_write_bytes", "dram_compulsory_bytes", "nop_injected_bytes")  # and nearly: bytes on links, counted as time passes
ENERGIES = ("mac_j", "vector_j", "sram_j", "dram_j")


def run(*args):
    subprocess.run([str(a) for a in args], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def get(report, path):
    for key in path.split("."):
        report = report[key]
    return report


def paths(report, prefix=""):
    for key, value in report.items():
        yield f"{prefix}{key}"
        if isinstance(value, dict):
            yield from paths(value, f"{prefix}{key}.")


def near(name, predicted, simulated):
    assert abs(predicted - simulated) <= 0.1 * simulated, f"{name}: predicted {predicted:.4g}, simulated {simulated:.4g}"


def check(*options):
    image = WORK / "m.hct"
    run(BIN / "hecaton-compile", WORK / "m.onnx", *options, "-o", image, "--report", WORK / "predicted.json")
    run(BIN / "hecaton-sim", image, "--mode=timing", "--report", WORK / "simulated.json")
    predicted, simulated = (json.loads((WORK / f"{name}.json").read_text()) for name in ("predicted", "simulated"))
    assert predicted["schema"] == simulated["schema"] and predicted["predicted"] is True and "predicted" not in simulated
    assert set(paths(simulated)) - set(paths(predicted)) == OF_RUNS, set(paths(simulated)) - set(paths(predicted))
    assert set(paths(predicted)) - set(paths(simulated)) == {"predicted"}
    for path in COUNTED:
        assert get(predicted, path) == get(simulated, path), f"{path}: predicted {get(predicted, path)}, simulated {get(simulated, path)}"
    for group, names in (("traffic", TRAFFIC), ("energy", ENERGIES)):
        for name in names:
            assert predicted[group][name] == simulated[group][name], f"{name}: predicted {predicted[group][name]}, simulated {simulated[group][name]}"
    layers = lambda report: [{k: v for k, v in row.items() if k != "time_s"} for row in report["per_layer"]]
    assert layers(predicted) == layers(simulated)
    near("step", predicted["time"]["step_s"], simulated["time"]["step_s"])
    near("bytes on links", predicted["traffic"]["nop_link_bytes"], simulated["traffic"]["nop_link_bytes"])
    near("energy", predicted["energy"]["total_j"], simulated["energy"]["total_j"])
    print(f"ok {' '.join(options)}: predicted {predicted['time']['step_s']:.4g} s, simulated {simulated['time']['step_s']:.4g} s, {predicted['simulator']['events']} and {simulated['simulator']['events']} events")
    return predicted["simulator"]["events"] < simulated["simulator"]["events"]


run(BIN / "hecaton-model", "gpt2", "--layers=1", "--hidden=64", "--heads=4", "--vocab=96", "--seq=32", "--batch=131", "--no-weights", "-o", WORK / "m.onnx")
shorter = [check(f"--strategy={strategy}", f"--mesh={mesh}", f"--micro-batch={size}", f"--overlap={overlap}")
           for strategy, mesh, size, overlap in (("hecaton", "2x3", 1, "ring"), ("hecaton", "4x4", 4, "none"), ("megatron-torus", "2x2", 8, "ring"), ("optimus", "3x3", 1, "ring"))]
assert any(shorter), "no prediction took fewer events than its simulation: none left anything out"

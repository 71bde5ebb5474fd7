#!/usr/bin/env python3
"""The whole report of a timing run, less what the simulator says of itself, is the same with and without --no-recurrence.

Programs of several strategies, layers, micro-batches and meshes; and the same programs with all they do in one more loop around it.

usage: recurrence.py BIN_DIRECTORY WORK_DIRECTORY
"""
import re

from timed import BIN, WORK, report, run


def nested(image, times):
    """The image with each stream's instructions in an outermost loop of so many iterations."""
    text = run(BIN / "hecaton-objdump", "--text", image)
    text = re.sub(r"\b(level=|loop\()(\d+)", lambda m: f"{m[1]}{int(m[2]) + 1}", text)
    text = re.sub(r"(ring\(\w+,)(\d+)", lambda m: f"{m[1]}{int(m[2]) + 1}", text)
    text = re.sub(r"^(\.stream \d+)$", rf"\1\n  loop level=0 v0={times}", text, flags=re.M)
    text = re.sub(r"^(\s*halt.*)$", r"  end level=0\n\1", text, flags=re.M)
    (WORK / "n.s").write_text(text)
    run(BIN / "hecaton-as", WORK / "n.s", "-o", WORK / "n.hct")
    return WORK / "n.hct"


def compare(name, image):
    every, looked = report(image, "--no-recurrence")
    skipping, skipped = report(image)
    assert every == skipping, f"{name}: differs"
    assert looked["instructions_skipped_by_recurrence"] == 0
    assert looked["instructions"] == skipped["instructions"]
    share = skipped["instructions_skipped_by_recurrence"] / skipped["instructions"]
    print(f"{name}: {100 * share:.0f} % of {skipped['instructions']} instructions skipped, {looked['events']} and {skipped['events']} events")
    return share, looked["events"], skipped["events"]


shares = {}
for layers, mesh, micro_batch, strategy in ((1, "2x2", 1, "hecaton"), (2, "2x3", 1, "hecaton"), (2, "2x2", 2, "megatron-ring"), (1, "3x2", 1, "megatron-torus"),
                                            (2, "2x2", 1, "megatron-sequence"), (2, "2x2", 1, "optimus"), (1, "1x1", 3, "hecaton")):
    run(BIN / "hecaton-model", "gpt2", f"--layers={layers}", "--hidden=32", "--heads=4", "--vocab=64", "--seq=16", "--batch=40", "-o", WORK / "m.onnx")
    run(BIN / "hecaton-compile", WORK / "m.onnx", "--groups=blocks", f"--mesh={mesh}", f"--micro-batch={micro_batch}", f"--strategy={strategy}", "-o", WORK / "m.hct")
    name = f"{strategy} {mesh}, {layers} layers, micro-batch {micro_batch}"
    shares[name] = compare(name, WORK / "m.hct")[0]
    if strategy in ("hecaton", "optimus"):
        shares[name + ", nested"], events, simulated = compare(name + ", nested", nested(WORK / "m.hct", 12))
        assert simulated * 2 < events, f"{name}: the outer loop is not skipped"
assert sum(share > 0.5 for share in shares.values()) >= len(shares) // 2, shares
print("ok")

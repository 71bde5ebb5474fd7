#!/usr/bin/env python3
"""Every golden under every strategy on every mesh: loss, gradients, 20 SGD losses, 20 AdamW losses and trained weights against PyTorch's.

usage: goldens_all.py BIN_DIRECTORY SHARED_DIRECTORY WORK_DIRECTORY
A part in which each two of model, mesh and strategy meet, gradients (but those that the strategies' own tests have) and one optimizer in turn; in a thorough run the whole product, 210 programs for gradients
and as many for each optimizer.
"""
import sys
from pathlib import Path

from goldens import Golden

sys.path.insert(0, str(Path(__file__).parent.parent))
from checks import THOROUGH  # noqa: E402

MODELS = ("bert", "gpt2", "gpt2_tied", "llama", "llama_lora", "llama_symbolic", "vit")
MESHES = ("1x1", "2x2", "2x3", "4x4", "1x4", "4x1")
STRATEGIES = ("hecaton", "megatron-ring", "megatron-torus", "megatron-sequence", "optimus")
IN_STRATEGIES = ("gpt2", "gpt2_tied", "llama", "llama_symbolic")  # strategy_*.test: gradients on all these meshes
product = [(m, k, s) for m in range(len(MODELS)) for k in range(len(MESHES)) for s in range(len(STRATEGIES))]
covering = [(m, k, s) for m, k, s in product if (m + k) % len(STRATEGIES) == s]
for a, b, sizes in ((0, 1, len(MODELS) * len(MESHES)), (0, 2, len(MODELS) * len(STRATEGIES)), (1, 2, len(MESHES) * len(STRATEGIES))):
    assert len({(c[a], c[b]) for c in covering}) == sizes, "a pair is not covered"

binaries, shared, work = sys.argv[1:]
Path(work).mkdir(parents=True, exist_ok=True)
failed = 0
for m, k, s in product if THOROUGH else covering:
    micro_batch = 1 + (m + k + s) % 4
    case = f"{MODELS[m]} {MESHES[k]} {STRATEGIES[s]} micro-batch {micro_batch}"
    try:
        golden = Golden(binaries, shared, work, MODELS[m], [f"--strategy={STRATEGIES[s]}"])
        if THOROUGH or s == 0 or MODELS[m] not in IN_STRATEGIES:
            golden.check_quick(MESHES[k], micro_batch)
        for check in (golden.check_sgd, golden.check_adamw) if THOROUGH else ((golden.check_sgd, golden.check_adamw)[(m + k + s) % 2],):
            check(MESHES[k], micro_batch)
        print(f"ok {case}", flush=True)
    except (AssertionError, SystemExit) as why:
        failed += 1
        print(f"FAIL {case}: {why}", flush=True)
sys.exit(failed > 0)

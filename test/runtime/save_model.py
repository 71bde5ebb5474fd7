#!/usr/bin/env python3
"""--save-model: initializers of every form are replaced by what --output param:NAME has, all else stays; the logits of the saved model are those of the step
after. Then what is refused.

usage: save_model.py BIN_DIRECTORY WORK_DIRECTORY
"""
import os
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

sys.path.insert(0, str(Path(__file__).parent.parent))
from checks import check, done, finish, run, tools_from  # noqa: E402

BIN, WORK = Path(sys.argv[1]), Path(sys.argv[2])
tools_from(BIN)
shutil.rmtree(WORK, ignore_errors=True)
WORK.mkdir(parents=True)
os.chdir(WORK)
for folder in ("models", "programs", "saved"):
    Path(folder).mkdir()


def refused(name, result, *wanted, file="saved/no.onnx"):
    check(name, result.returncode == 1 and "error[E" in result.stderr and all(w in result.stderr for w in wanted), f"exit status {result.returncode}\n{result.stderr}")
    check(f"{name}: nothing is written", not Path(file).exists())


STEPS = 5
done("hecaton-model", "gpt2", "--layers=1", "--hidden=16", "--heads=2", "--vocab=24", "--seq=8", "--batch=4", "--seed=3", "-o", "models/raw.onnx")
tokens = np.random.default_rng(5).integers(0, 24, (STEPS + 1, 4, 9))
np.save("ids.npy", tokens[:, :, :8]), np.save("labels.npy", tokens[:, :, 1:]), np.save("last_ids.npy", tokens[-1, :, :8]), np.save("last_labels.npy", tokens[-1, :, 1:])
INPUTS = ["--mode=functional", "--input", "ids=ids.npy", "--input", "labels=labels.npy"]
LAST = ["--mode=functional", "--input", "ids=last_ids.npy", "--input", "labels=last_labels.npy"]


def variant(name, change):
    made = onnx.load("models/raw.onnx")
    for tensor in made.graph.initializer:
        change(tensor)
    onnx.save(made, f"models/{name}.onnx")


def typed(tensor):
    values = numpy_helper.to_array(tensor).ravel()
    tensor.ClearField("raw_data")
    tensor.float_data.extend(values)


variant("typed", typed)
# A model of several element types: a double and a half weight (typed, as int32 data), each cast to float, beside a float one and an integer table of dimensions.
rng = np.random.default_rng(3)
half, double, table = (rng.standard_normal((4, 4)).astype(t) for t in (np.float16, np.float64, np.float32))
nodes = [helper.make_node("Cast", ["half"], ["h"], to=TensorProto.FLOAT), helper.make_node("Cast", ["double"], ["d"], to=TensorProto.FLOAT), helper.make_node("MatMul", ["x", "h"], ["a"]),
         helper.make_node("MatMul", ["a", "d"], ["b"]), helper.make_node("Add", ["b", "table"], ["c"]), helper.make_node("Reshape", ["c", "shape"], ["logits"]),
         helper.make_node("Mul", ["logits", "logits"], ["squares"]), helper.make_node("ReduceMean", ["squares"], ["loss"], keepdims=0)]
graph = helper.make_graph(nodes, "types", [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4, 4])], [helper.make_tensor_value_info("loss", TensorProto.FLOAT, []), helper.make_tensor_value_info("logits", TensorProto.FLOAT, [4, 2, 2])],
                          [helper.make_tensor("half", TensorProto.FLOAT16, [4, 4], half.ravel()), numpy_helper.from_array(double, "double"), numpy_helper.from_array(table, "table"),
                           numpy_helper.from_array(np.array([4, 2, 2]), "shape")])
types = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8, doc_string="kept")
onnx.save(types, "models/types.onnx")
np.save("x.npy", rng.standard_normal((4, 4)).astype(np.float32))
X = ["--mode=functional", "--input", "x=x.npy"]
# The weights, and the constants, in files of their own; the saved one needs none.
for name in ("raw", "types"):
    onnx.save(onnx.load(f"models/{name}.onnx"), f"models/{name}_outside.onnx", save_as_external_data=True, location=f"{name}.bin", size_threshold=0, convert_attribute=name == "raw")


def logits(program, inputs, *options):
    done("hecaton-sim", program, *inputs, *options, "--output", "logits=logits.npy")
    return np.load("logits.npy")


def saves(label, source, inputs, last, *options, exact=True):
    original = onnx.load(f"models/{source}.onnx")
    inside = onnx.load(f"models/{source}.onnx", load_external_data=False)
    names = [t.name for t in original.graph.initializer if t.data_type in (TensorProto.FLOAT, TensorProto.FLOAT16, TensorProto.DOUBLE)]
    program, saved = "programs/train.hct", f"saved/{label.replace(' ', '_')}.onnx"
    outputs = [a for i, n in enumerate(names) for a in ("--output", f"param:{n}={i}.npy")]
    done("hecaton-compile", f"models/{source}.onnx", "-o", program, "--keep-output=logits", "--lr=0.01", *options)
    done("hecaton-sim", program, *inputs, f"--steps={STEPS}", "--checkpoint=train.ck", "--save-model", saved, *outputs)
    onnx.checker.check_model(onnx.load(saved), full_check=True)
    new = onnx.load(saved, load_external_data=False)
    before, after = {t.name: t for t in original.graph.initializer}, {t.name: t for t in new.graph.initializer}
    for i, name in enumerate(names):
        kept, trained, was = numpy_helper.to_array(after[name]), np.load(f"{i}.npy"), numpy_helper.to_array(before[name])
        check(f"{label}: {name}", after[name].data_location == TensorProto.DEFAULT and kept.dtype == was.dtype and kept.shape == was.shape and (kept == trained.astype(was.dtype)).all() and (kept != was).any())
        before[name].CopyFrom(after[name])
    for name in set(before) - set(names):
        check(f"{label}: {name} stays", (numpy_helper.to_array(after[name]) == numpy_helper.to_array(before[name])).all() and after[name].data_location == TensorProto.DEFAULT)
        after[name].CopyFrom(before[name])
    if all(t.data_location == TensorProto.DEFAULT for t in inside.graph.initializer):
        check(f"{label}: all else stays", new == original)
    done("hecaton-compile", saved, "-o", "programs/infer.hct", "--mode=infer", "--mesh=2x1")
    given, wanted = logits("programs/infer.hct", last), logits(program, inputs, f"--steps={STEPS + 1}", "--resume=train.ck")
    tolerance = 1e-5 if exact else 2e-3 * np.abs(wanted).max()  # some products of weights that are off by up to 2^-12 in f16, of f32 in training
    check(f"{label}: the logits of the step after", np.allclose(given, wanted, rtol=1e-5, atol=tolerance), np.abs(given - wanted).max())
    check(f"{label}: not those of before", not np.allclose(logits("programs/train.hct", last), wanted, rtol=1e-2))


saves("raw", "raw", INPUTS, LAST, "--mesh=2x2")
saves("typed", "typed", INPUTS, LAST, "--mesh=1x1")
saves("outside", "raw_outside", INPUTS, LAST, "--mesh=1x2", "--weight-pieces=2")
saves("host", "raw", INPUTS, LAST, "--backend=host")
saves("types", "types", X, X, "--mesh=2x1", exact=False)
saves("types outside", "types_outside", X, X, "--mesh=1x2", exact=False)
saves("types host", "types_outside", X, X, "--backend=host", exact=False)

# ---- from dumps, and from text ----
done("hecaton-compile", "models/raw.onnx", "-o", "programs/plain.hct", "--mesh=2x2")
done("hecaton-compile", "models/raw.onnx", "-o", "saved/dump.mlir", "--mesh=2x2", "--emit=dist")
done("hecaton-opt", "saved/dump.mlir", "--emit=image", "-o", "programs/opt.hct")
check("a dump elsewhere names the same model", Path("programs/opt.hct").read_bytes() == Path("programs/plain.hct").read_bytes())
Path("programs/text").write_text(done("hecaton-objdump", "--text", "programs/plain.hct").stdout)
done("hecaton-as", "programs/text", "-o", "programs/as.hct")
for program in ("plain", "as"):
    done("hecaton-sim", f"programs/{program}.hct", *LAST, "--save-model", f"saved/{program}.onnx")
check("through text", Path("saved/plain.onnx").read_bytes() == Path("saved/as.onnx").read_bytes())

# ---- refused, before anything is run ----
def refuses(name, *wanted, program="plain", inputs=LAST):
    refused(name, run("hecaton-sim", f"programs/{program}.hct", *inputs, "--save-model", "saved/no.onnx"), *wanted)


Path("programs/nameless.text").write_text(Path("programs/text").read_text().replace('["model_file","../models/raw.onnx"],', ""))
done("hecaton-as", "programs/nameless.text", "-o", "programs/nameless.hct")
refuses("no model", "nameless.hct: error[E0706]", "does not say", program="nameless")
refuses("no numbers", "--save-model=saved/no.onnx", "--mode=functional", inputs=["--mode=timing"])
refused("an unwritable folder", run("hecaton-sim", "programs/plain.hct", *LAST, "--save-model", "nowhere/no.onnx"), "nowhere/no.onnx: error[E0101]")
whole = Path("models/raw.onnx").read_bytes()
Path("models/raw.onnx").write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
refuses("a changed model", "models/raw.onnx: error[E0706]: the model has changed", "hint: compile the model again")
Path("models/raw.onnx").unlink()
refuses("no model there", "models/raw.onnx: error[E0101]: cannot open", "hint: compile the model again")
Path("models/raw.onnx").write_bytes(whole)
# An initializer that nothing needs, of 3 GiB in a file that takes no room.
large = onnx.load("models/types.onnx")
wide = large.graph.initializer.add(name="wide", data_type=TensorProto.FLOAT, dims=[3 << 10, 1 << 18], data_location=TensorProto.EXTERNAL)
wide.external_data.add(key="location", value="wide.bin")
Path("models/large.onnx").write_bytes(large.SerializeToString())
with open("models/wide.bin", "wb") as file:
    file.truncate(3 << 30)
done("hecaton-compile", "models/large.onnx", "-o", "programs/large.hct", "--mesh=1x1")
refuses("over 2 GiB", "models/large.onnx: error[E0706]", "of 32212", "less than 2 GiB", program="large", inputs=X)
Path("models/wide.bin").unlink()
# What the copy needs, and is cut or gone.
wide.dims[:] = [4]
Path("models/large.onnx").write_bytes(large.SerializeToString())
Path("models/wide.bin").write_bytes(bytes(16))
done("hecaton-compile", "models/large.onnx", "-o", "programs/large.hct", "--mesh=1x1")
done("hecaton-sim", "programs/large.hct", *X, "--save-model", "saved/wide.onnx")
check("data that nothing needs is there", {t.name: len(t.raw_data) for t in onnx.load("saved/wide.onnx", load_external_data=False).graph.initializer}["wide"] == 16)
Path("models/wide.bin").unlink()
refuses("data that is gone", "tensor 'wide': error[E0706]", "'wide.bin' is not there", program="large", inputs=X)
Path("models/wide.bin").symlink_to("../x.npy")
refuses("data outside of the folder", "tensor 'wide': error[E0706]", "outside of the model's folder", program="large", inputs=X)
finish()

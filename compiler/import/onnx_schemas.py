#!/usr/bin/env python3
"""Writes ONNX's own schemas of the operators of its default domain, as tables for import_check.c.

usage: onnx_schemas.py OUT.def

HCT_ONNX_INPUT(whether it may be left out)
HCT_ONNX_ATTRIBUTE(name, AttributeProto.AttributeType)
HCT_ONNX_SCHEMA(name, since opset, least inputs, most inputs, most outputs, its first input, inputs, its first attribute, attributes), by name and opset.
HCT_ONNX_OPSET(the newest that these schemas know)
"""
import sys

import onnx
from onnx import defs

inputs, attributes, schemas = [], [], []
for schema in sorted(defs.get_all_schemas_with_history(), key=lambda s: (s.name, s.since_version)):
    if schema.domain:
        continue
    first = len(inputs), len(attributes)
    inputs += [(str(i.option.name == "Optional").lower(),) for i in schema.inputs]
    attributes += [(f'"{name}"', int(getattr(onnx.AttributeProto, a.type.name))) for name, a in sorted(schema.attributes.items())]
    most = lambda n: min(n, 0xFFFF)
    schemas.append((f'"{schema.name}"', schema.since_version, schema.min_input, most(schema.max_input), most(schema.max_output), first[0], len(inputs) - first[0], first[1], len(attributes) - first[1]))

with open(sys.argv[1], "w") as out:
    for kind, rows in (("INPUT", inputs), ("ATTRIBUTE", attributes), ("SCHEMA", schemas), ("OPSET", [(defs.onnx_opset_version(),)])):
        out.write(f"#ifdef HCT_ONNX_{kind}\n")
        out.writelines(f"HCT_ONNX_{kind}({', '.join(map(str, row))})\n" for row in rows)
        out.write("#endif\n")

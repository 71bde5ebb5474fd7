#!/usr/bin/env python3
"""Pages of the dialects: operators and attributes that they name exist, excerpts in them are IR, the instruction page's too.

usage: docs.py SOURCE_DIRECTORY BIN_DIRECTORY
"""
import re
import subprocess
import sys
from pathlib import Path

SOURCE, BIN = Path(sys.argv[1]), Path(sys.argv[2])
faults = []
table = "".join(subprocess.run([BIN / "hecaton-irdl", f"--docs={d}"], capture_output=True, text=True, check=True).stdout for d in ("hct_graph", "hct_tile"))
known = {m[0]: m[1] for m in re.findall(r"^\| `([a-z_.0-9]+)` \| [^|]*\| [^|]*\| `?([^|`]*)`? \|", table, re.M)}
code = "".join(p.read_text() for f in ("ir", "compiler", "backends") for p in (SOURCE / f).rglob("*.[ch]"))
for name in ("graph", "dist", "tile"):
    text = (SOURCE / f"ir/dialect/{name}.md").read_text()
    for op, attributes in re.findall(r'"(hct_[a-z]+\.[a-z0-9_]+)"\([^)]*\) (?:\{(.*?)\} )?:', text):
        if op not in known:
            faults.append(f"{name}.md: {op} is not in ops.def")
            continue
        allowed = {a.split(":")[0] for a in known[op].split()}
        for attribute in re.findall(r"(?:^|, )([a-z_]+) = ", attributes):
            if attribute not in allowed:
                faults.append(f"{name}.md: {op} has no attribute {attribute}")
    for attribute in set(re.findall(r"`(hct\.[a-z_]+)`", text)):
        if f'"{attribute}"' not in code:
            faults.append(f"{name}.md: nothing reads or writes {attribute}")
    if "hecaton-irdl --docs=" not in text:
        faults.append(f"{name}.md: does not say where the table of operators is")
page = (SOURCE / "ir/isa/isa.md").read_text()
manual = subprocess.run([BIN / "hecaton-objdump", "--manual"], capture_output=True, text=True, check=True).stdout
mnemonics = set(re.findall(r"^0x[0-9a-f]+ +(\S+)", manual, re.M))
for line in re.search(r"```\n(.*?)```", page, re.S)[1].split("\n"):
    if line.strip() and line.split()[0] not in mnemonics:
        faults.append(f"isa.md: {line.split()[0]} is no instruction")
if "--manual" not in page:
    faults.append("isa.md: does not point at the manual")
print("\n".join(faults) or "ok")
sys.exit(1 if faults else 0)

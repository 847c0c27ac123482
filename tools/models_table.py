#!/usr/bin/env python3
"""Counts what holds Pagoda's model support to other implementations, as the tables of docs/models.md.

    tools/models_table.py [--binary FILE] [--write]

Runs the program over tests/golden: the logits of each family against those that Transformers gave, on
every instruction set of this machine, and, for each weight format, a model that is converted while it
loads against the GGUF file that `pagoda quantize` writes of it, which must give the same logits to the
bit. Prints Markdown; --write puts it into docs/models.md between its two marks. Exits 1 if anything
differs.
"""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
GOLDEN = ROOT / "tests/golden"
DOC = ROOT / "docs/models.md"
BEGIN, END = "<!-- tables: begin -->\n", "<!-- tables: end -->\n"
FORMATS = {"f32": ["--dtype", "float32"], "bf16": ["--dtype", "bfloat16"], "q8_0": ["--quantization", "q8_0"],
           "q4_0": ["--quantization", "q4_0"], "mxfp4": ["--quantization", "mxfp4"],
           "q6_k": ["--quantization", "q6_k"], "q4_k": ["--quantization", "q4_k"], "auto": []}
TOLERANCE = 1e-4


class Pagoda:
    def __init__(self, binary):
        self.binary = binary

    def run(self, *args, isa=""):
        env = {**os.environ, "PAGODA_CPU_ISA": isa} if isa else dict(os.environ)
        return subprocess.run([self.binary, *map(str, args)], env=env, capture_output=True, text=True, check=False)

    def logits(self, model, expected, *flags, isa=""):
        """By position, the logits in the order of ids; or the error's last line."""
        ids = ",".join(map(str, expected["prompt"]))
        if "max_model_len" in expected:
            flags = [*flags, "--max-model-len", expected["max_model_len"]]
        done = self.run("logits", model, "--ids", ids, "--all", "--top", 100000, *flags, isa=isa)
        if done.returncode != 0:
            return None, done.stderr.strip().splitlines()[-1]
        rows = {}
        for line in done.stdout.splitlines():
            row = json.loads(line)
            rows[row["position"]] = [logit for _, logit in sorted(zip(row["ids"], row["logits"], strict=True))]
        return rows, ""

    def isas(self):
        found = []
        for isa in ("scalar", "avx2", "avx512", "amx", "neon", "neon-dotprod"):
            if self.run("info", isa=isa).returncode == 0:
                found.append(isa)
        return found


def count_equal(pagoda, folder, expected, isa):
    rows, error = pagoda.logits(folder, expected, "--dtype", "float32", isa=isa)
    if rows is None:
        sys.exit(f"{folder}: {error}")
    total = good = 0
    for position, wanted in zip(expected["positions"], expected["logits"], strict=True):
        for got, want in zip(rows[position], wanted, strict=True):
            total += 1
            good += abs(got - want) < TOLERANCE
    return good, total


def compare_gguf(pagoda, folder, expected, name, flags, scratch):
    """ "72/72" positions equal to the bit, or why there is no such file."""
    file = scratch / f"{name}.gguf"
    done = pagoda.run("quantize", folder, file, "--type", name)
    if done.returncode != 0:
        return "-", True
    converted, error = pagoda.logits(folder, expected, *flags, "--quantization-cache-dir", "none")
    if converted is None:
        sys.exit(f"{folder} {name}: {error}")
    stored, error = pagoda.logits(file, expected, *(flags if name in ("f32", "bf16") else []))
    if stored is None:
        sys.exit(f"{file}: {error}")
    equal = sum(converted[position] == stored[position] for position in converted)
    return f"{equal}/{len(converted)}", equal == len(converted)


def family_table(pagoda):
    isas = pagoda.isas()
    lines = [f"| architecture | golden | logits within {TOLERANCE:g} of Transformers (f32) on " + ", ".join(isas) + " | " +
             " | ".join(f"GGUF {name}" for name in FORMATS) + " |", "|---" * (3 + len(FORMATS)) + "|"]
    fine = True
    rows = []
    for folder in sorted((GOLDEN / "models").iterdir()):
        if not (folder / "expected.json").exists():
            continue
        expected = json.loads((folder / "expected.json").read_text())
        architecture = json.loads((folder / "config.json").read_text())["architectures"][0]
        good = total = 0
        for isa in isas:
            one_good, one_total = count_equal(pagoda, folder, expected, isa)
            good, total = good + one_good, total + one_total
        fine = fine and good == total
        cells = []
        with tempfile.TemporaryDirectory() as scratch:
            copy = pathlib.Path(scratch) / "model"
            shutil.copytree(folder, copy)
            shutil.copy(ROOT / "models/demo/tokenizer.json", copy)
            for name, flags in FORMATS.items():
                cell, equal = compare_gguf(pagoda, copy, expected, name, flags, pathlib.Path(scratch))
                fine = fine and equal
                cells.append(cell)
        rows.append((architecture, folder.name, f"{good}/{total}", *cells))
    lines += ["| " + " | ".join(row) + " |" for row in sorted(rows)]
    return "\n".join(lines), fine


def text_table():
    components = json.loads((GOLDEN / "text/component_cases.json").read_text())
    tokenizer = json.loads((GOLDEN / "text/tokenizer_cases.json").read_text())
    jinja = json.loads((GOLDEN / "text/jinja_cases.json").read_text())
    num_parts = {name: len(components[name]) for name in components if name != "texts"}
    return "\n".join([
        "| what | compared with | equalities held by `./dev test` |", "|---|---|---|",
        f"| the demo model's tokenizer | Hugging Face tokenizers | {len(tokenizer['cases'])} texts |",
        *(f"| {name.replace('_', '-')} | Hugging Face tokenizers | {count} x {len(components['texts'])} texts |"
          for name, count in num_parts.items()),
        f"| snippets of templates | Jinja2 | {len(jinja['snippets'])} (a template that raises must raise) |",
        f"| templates in the manner of families | Jinja2 | {len(jinja['templates'])} templates x "
        f"{len(jinja['conversations'])} conversations |"])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", default=ROOT / "build/release/pagoda")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    families, fine = family_table(Pagoda(options.binary))
    text = "### Families and formats\n\n" + families + "\n\n### Tokenizers and templates\n\n" + text_table() + "\n"
    if options.write:
        doc = DOC.read_text()
        before, rest = doc.split(BEGIN)
        DOC.write_text(before + BEGIN + "\n" + text + "\n" + END + rest.split(END)[1])
    else:
        print(text)
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())

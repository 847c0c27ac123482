#!/usr/bin/env python3
"""Asks the exported model the questions of the model card with Hugging Face Transformers.

usage: evaluate.py MODEL_DIR [--corpus CORPUS.jsonl] [--card README.md] [--samples N]

Greedy answers in bfloat16, each checked against its expected pattern; exit status 1 if one is wrong.
--corpus: proves again that no held-out question is in the corpus. --card: replaces the table between the markers in that
file. --samples: also asks the three client examples N times at their own temperatures.
"""

import argparse
import json
import re
import sys

import torch
import transformers

from demo_data import probes

BEGIN, END = "<!-- answers -->", "<!-- /answers -->"
TEMPERATURES = [0.7, 0.9, 0.7]


class Asker:
    def __init__(self, folder, dtype):
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(folder)
        self.model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=dtype)
        self.model.eval()

    def ask(self, messages, max_tokens, temperature=0.0):
        ids = self.tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt",
                                                 return_dict=True)
        how = dict(do_sample=True, temperature=temperature, top_p=1.0, top_k=0) if temperature else \
            dict(do_sample=False, temperature=None, top_p=None)
        out = self.model.generate(**ids, max_new_tokens=max_tokens, **how)[0][ids["input_ids"].shape[1]:]
        return self.tokenizer.decode(out, skip_special_tokens=True), len(out)

    def probe(self, probe, temperature=0.0):
        answers, count = [], 0
        for _ in probe.turns:
            text, count = self.ask(probes.messages(probe, answers), probe.max_tokens, temperature)
            answers.append(text)
        return answers, count


def check_corpus(path):
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            for message in json.loads(line).get("messages", []):
                assert probes.normalized(message["content"]) not in probes.HELDOUT, line


def cell(text):
    return text.replace("|", "\\|").replace("\n\n", "<br>").replace("\n", "<br>")


def table(rows):
    lines = ["| # | system | question | answer | kind |", "|---|---|---|---|---|"]
    for number, (probe, answers, count) in enumerate(rows, 1):
        kind = "client example" if probe.client else "held out" if probe.heldout else "in the corpus"
        asked = "<br>then: ".join(cell(t) for t in probe.turns)
        if count >= probe.max_tokens:
            kind += f", cut at {probe.max_tokens} tokens"
        system = {probes.HELPFUL: "helpful", probes.WRITER: "writer", None: "none"}[probe.system]
        lines.append(f"| {number} | {system} | {asked} | {cell(answers[-1])} | {kind} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--corpus")
    parser.add_argument("--card")
    parser.add_argument("--samples", type=int, default=0)
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16")
    args = parser.parse_args()
    torch.manual_seed(0)
    if args.corpus:
        check_corpus(args.corpus)
        print("no held-out question in", args.corpus)
    asker = Asker(args.model, getattr(torch, args.dtype))
    rows, wrong = [], 0
    for probe in probes.PROBES:
        answers, count = asker.probe(probe)
        good = re.search(probe.expect, answers[-1]) is not None
        wrong += not good
        rows.append((probe, answers, count))
        print("ok " if good else "BAD", " / ".join(probe.turns), "->", answers[-1])
    print(f"{len(rows) - wrong} of {len(rows)} as expected")
    if args.samples:
        for probe, temperature in zip((p for p in probes.PROBES if p.client), TEMPERATURES):
            texts = [asker.probe(probe, temperature)[0][-1] for _ in range(args.samples)]
            good = sum(re.search(probe.expect, t) is not None for t in texts)
            print(f"{probe.turns[-1]} at {temperature}: {good} of {args.samples}; last: {texts[-1]}")
    if args.card:
        with open(args.card, encoding="utf-8") as file:
            text = file.read()
        before, rest = text.split(BEGIN)
        with open(args.card, "w", encoding="utf-8") as file:
            file.write(before + BEGIN + "\n\n" + table(rows) + "\n\n" + END + rest.split(END)[1])
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()

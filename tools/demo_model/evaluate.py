#!/usr/bin/env python3
"""Asks the exported model the questions of the model card with Hugging Face Transformers.

usage: evaluate.py MODEL_DIR [--corpus CORPUS.jsonl ...] [--card README.md] [--samples N] [--fresh N]

Greedy answers in bfloat16, each checked against its expected pattern; exit status 1 if one is wrong.
--corpus: proves again that no held-out question is in the corpus. --card: replaces the tables between the
markers in that file. --samples: also asks the three client examples N times at their own temperatures. --fresh: N newly made
questions of each kind; an answer counts only if it equals the generator's, letter for letter.
"""

import argparse
import json
import random
import re
import sys

import torch
import transformers

import corpus
from demo_data import numeric, probes, qa_en, qa_ko, talk

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


FRESH = {
    "capitals": (qa_en.capital, qa_ko.capital), "other facts": (qa_en.general_fact, qa_ko.general_fact),
    "tables of facts": (qa_en.table_fact, qa_ko.table_fact), "counting": (numeric.count_en, numeric.count_ko),
    "small sums": (numeric.arithmetic_en, numeric.arithmetic_ko), "copying": (qa_en.repeat, qa_ko.repeat),
    "about Pagoda": (talk.pagoda_en, talk.pagoda_ko), "small talk": (talk.chat_en, talk.chat_ko),
    "unknown things": (talk.unknown_en, talk.unknown_ko)}


def fresh_turns(rng):
    """Kind of question -> two makers, English and Korean, of a whole dialogue."""
    kinds = {kind: [lambda m=m: [m(rng)] for m in makers] for kind, makers in FRESH.items()}
    kinds["a name told before"] = [lambda: talk.memory_en(rng, corpus.single_en),
                                   lambda: talk.memory_ko(rng, corpus.single_ko)]
    kinds["last of 40 turns"] = [lambda: corpus.mixed_turns(rng, 39) + [qa_en.capital(rng)],
                                 lambda: corpus.mixed_turns(rng, 39) + [qa_ko.capital(rng)]]
    return kinds


def fresh_rows(asker, count):
    """[(kind, right English, right Korean)], each of `count`."""
    rng, rows = random.Random(12345), []
    for kind, makers in fresh_turns(rng).items():
        right = []
        for make in makers:
            good = 0
            for _ in range(count):
                turns = make()
                if kind.startswith("a name"):  # up to the question for what was told
                    turns = turns[:-1] if turns[-1][1] == "You are welcome!" else turns
                messages = [{"role": "system", "content": probes.HELPFUL}]
                for question, answer in turns:
                    messages += [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
                text, _ = asker.ask(messages[:-1], 120)
                good += text.strip() == messages[-1]["content"].strip()
            right.append(good)
        rows.append((kind, *right))
        print(f"fresh: {kind}: {right[0]} English, {right[1]} Korean of {count}", flush=True)
    return rows


def fresh_table(rows, count):
    lines = [f"| kind ({count} questions each) | English | Korean |", "|---|---|---|"]
    return "\n".join(lines + [f"| {kind} | {en} | {ko} |" for kind, en, ko in rows])


def put(path, mark, text):
    """Replaces what stands between the two comments named `mark`."""
    with open(path, encoding="utf-8") as file:
        before, rest = file.read().split(f"<!-- {mark} -->")
    after = rest.split(f"<!-- /{mark} -->")[1]
    with open(path, "w", encoding="utf-8") as file:
        file.write(f"{before}<!-- {mark} -->\n\n{text}\n\n<!-- /{mark} -->{after}")


def cell(text):
    return text.replace("|", "\\|").replace("\n\n", "<br>").replace("\n", "<br>")


def table(rows):
    lines = ["| # | system | question | answer | kind | right |", "|---|---|---|---|---|---|"]
    for number, (probe, answers, count, good) in enumerate(rows, 1):
        kind = "client example" if probe.client else "held out" if probe.heldout else "in the corpus"
        asked = "<br>then: ".join(cell(t) for t in probe.turns)
        if count >= probe.max_tokens:
            kind += f", cut at {probe.max_tokens} tokens"
        system = {probes.HELPFUL: "helpful", probes.WRITER: "writer", None: "none"}[probe.system]
        lines.append(f"| {number} | {system} | {asked} | {cell(answers[-1])} | {kind} | {'yes' if good else '**no**'} |")
    return "\n".join(lines)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("--corpus", nargs="*", default=[])
    parser.add_argument("--card")
    parser.add_argument("--samples", type=int, default=0)
    parser.add_argument("--fresh", type=int, default=0)
    parser.add_argument("--dtype", choices=["bfloat16", "float32"], default="bfloat16")
    args = parser.parse_args()
    torch.manual_seed(0)
    for path in args.corpus:
        check_corpus(path)
        print("no held-out question in", path)
    asker = Asker(args.model, getattr(torch, args.dtype))
    rows, wrong = [], 0
    for probe in probes.PROBES:
        answers, count = asker.probe(probe)
        good = re.search(probe.expect, answers[-1]) is not None
        wrong += not good
        rows.append((probe, answers, count, good))
        print("ok " if good else "BAD", " / ".join(probe.turns), "->", answers[-1])
    print(f"{len(rows) - wrong} of {len(rows)} as expected")
    if args.samples:
        for probe, temperature in zip((p for p in probes.PROBES if p.client), TEMPERATURES):
            texts = [asker.probe(probe, temperature)[0][-1] for _ in range(args.samples)]
            good = sum(re.search(probe.expect, t) is not None for t in texts)
            print(f"{probe.turns[-1]} at {temperature}: {good} of {args.samples}; last: {texts[-1]}")
    if args.card:
        put(args.card, "answers", table(rows))
    if args.fresh:
        scores = fresh_rows(asker, args.fresh)
        if args.card:
            put(args.card, "fresh", fresh_table(scores, args.fresh))
    sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()

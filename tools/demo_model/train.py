#!/usr/bin/env python3
"""Trains the demo model within a budget of wall-clock minutes.

usage: train.py CORPUS.jsonl TOKENIZER_DIR RUN_DIR --minutes N [--threads N] [--layers N]

Uses a GPU if there is one. The learning rate falls to zero at the end of the budget. RUN_DIR gets
checkpoint.pt every few minutes, log.csv with the losses, samples.txt with answers to the probes. A second
start with the same RUN_DIR goes on from the checkpoint; the minutes already spent count.
"""

import argparse
import concurrent.futures
import copy
import csv
import os
import random
import time

import torch
from tokenizers import Tokenizer
from torch.nn import functional as F

import batches
import optimizer
from demo_data import probes
from model import Config, Llama

WARMUP_STEPS = 30
EMA_DECAY = 0.98  # per step: the mean of about the last 50 steps


def factor_at(step, spent, budget, decay_from):
    """Share of the full learning rate."""
    warm = min(1.0, (step + 1) / WARMUP_STEPS)
    done = spent / budget
    return warm * (1.0 if done < decay_from else max(0.0, (1 - done) / (1 - decay_from)))


def loss_sum(model, ids, targets):
    """Summed loss over the wanted tokens. Only their positions reach the head."""
    flat = targets.flatten()
    wanted = (flat != batches.IGNORE).nonzero().squeeze(1)
    # A multiple of 256 positions, so that the head sees few distinct shapes.
    spare = (flat == batches.IGNORE).nonzero().squeeze(1)[:-len(wanted) % 256]
    places = torch.cat([wanted, spare])
    with torch.autocast(ids.device.type, dtype=torch.bfloat16):
        logits = model.logits(model.hidden(ids).flatten(0, 1)[places])
    return F.cross_entropy(logits.float(), flat[places], reduction="sum", ignore_index=batches.IGNORE)


@torch.no_grad()
def answer(model, tokenizer, messages, max_tokens):
    """Greedy answer, as text."""
    eot = tokenizer.token_to_id("<|eot_id|>")
    text = "".join(f"<|start_header_id|>{m['role']}<|end_header_id|>\n\n{m['content']}<|eot_id|>" for m in messages)
    ids = tokenizer.encode(text + "<|start_header_id|>assistant<|end_header_id|>\n\n").ids
    start = len(ids)
    device = next(model.parameters()).device
    for _ in range(max_tokens):
        with torch.autocast(device.type, dtype=torch.bfloat16):
            logits = model.logits(model.hidden(torch.tensor([ids], device=device))[:, -1])
        ids.append(int(logits.argmax()))
        if ids[-1] == eot:
            break
    return tokenizer.decode(ids[start:])


def sample(model, tokenizer, out, title):
    right = 0
    out.write(f"== {title}\n")
    for probe in probes.PROBES:
        answers = []
        for i in range(len(probe.turns)):
            answers.append(answer(model, tokenizer, probes.messages(probe, answers), min(probe.max_tokens, 60)))
        good = probes.re.search(probe.expect, answers[-1]) is not None
        right += good
        out.write(f"{'ok ' if good else 'BAD'} {' / '.join(probe.turns)} -> {answers[-1]}\n")
    out.write(f"{right} of {len(probes.PROBES)}\n\n")
    out.flush()
    return right


class Run:
    def __init__(self, args):
        self.args = args
        device = "cuda" if torch.cuda.is_available() else "cpu"
        torch.manual_seed(args.seed)
        torch.set_num_threads(args.threads)
        self.workers = concurrent.futures.ThreadPoolExecutor(
            1 if device == "cuda" else args.threads, initializer=torch.set_num_threads, initargs=(1,))
        self.config = Config(num_hidden_layers=args.layers)
        self.model = Llama(self.config, device, torch.bfloat16)
        self.ema = copy.deepcopy(self.model)
        self.opt = optimizer.Optimizer(self.model, args.muon_lr, args.adam_lr, torch.bfloat16)
        self.tokenizer = Tokenizer.from_file(f"{args.tokenizer}/tokenizer.json")
        self.examples = batches.encode(args.corpus, args.tokenizer, self.config.max_position_embeddings)
        self.device, self.step, self.tokens, self.spent = device, 0, 0, 0.0
        total = sum(len(tokens) for tokens, _ in self.examples)
        print(f"{device}; {len(self.examples)} examples, {total} tokens; "
              f"{sum(p.numel() for p in self.model.parameters())} parameters", flush=True)
        self.path = os.path.join(args.run, "checkpoint.pt")
        if os.path.exists(self.path):
            self.load()

    def load(self):
        state = torch.load(self.path, map_location=self.device, weights_only=True)
        self.model.load_state_dict(state["model"])
        self.ema.load_state_dict(state["ema"])
        self.opt.load_state_dict(state["optimizer"])
        self.step, self.tokens, self.spent = state["step"], state["tokens"], state["spent"]

    def save(self):
        state = dict(model=self.model.state_dict(), ema=self.ema.state_dict(), optimizer=self.opt.state_dict(),
                     step=self.step, tokens=self.tokens, spent=self.spent, config=vars(self.config))
        torch.save(state, self.path + ".new")
        os.replace(self.path + ".new", self.path)

    def micro_batches(self):
        """Endless; each pass over the corpus is shuffled with its own seed."""
        seed = self.args.seed + 1000 * self.step
        while True:
            for batch in batches.plan(self.examples, self.args.micro_tokens, seed):
                yield batches.tensors(self.examples, batch, self.device)
            seed += 1

    def gradient(self, batch):
        """(summed loss, its gradients)."""
        loss = loss_sum(self.model, *batch)
        return loss.item(), torch.autograd.grad(loss, list(self.model.parameters()))

    def train_step(self, source):
        group = [next(source) for _ in range(self.args.micro_batches)]
        wanted = sum(int((targets != batches.IGNORE).sum()) for _, targets in group)
        # Each worker thread takes whole micro-batches: no barrier inside a layer, so a busy core slows only its own.
        results = list(self.workers.map(self.gradient, group))
        for p, *gradients in zip(self.model.parameters(), *(g for _, g in results)):
            p.grad = sum(gradients[1:], start=gradients[0]) / wanted
        total = sum(loss for loss, _ in results)
        self.tokens += sum(ids.numel() for ids, _ in group)
        factor = factor_at(self.step, self.spent, self.args.minutes * 60, self.args.decay_from)
        self.opt.step(factor)
        with torch.no_grad():
            decay = min(EMA_DECAY, self.step / (self.step + 10))
            for mean, value in zip(self.ema.parameters(), self.model.parameters()):
                mean.lerp_(value, 1 - decay)
        self.step += 1
        return total / wanted, factor

    def train(self):
        args, source = self.args, self.micro_batches()
        log_path = os.path.join(args.run, "log.csv")
        new = not os.path.exists(log_path)
        last = time.monotonic()
        next_save, next_sample = self.spent + args.save_s, self.spent + args.sample_s
        losses = []
        with open(log_path, "a", newline="", encoding="utf-8") as log_file, \
                open(os.path.join(args.run, "samples.txt"), "a", encoding="utf-8") as samples:
            log = csv.writer(log_file)
            if new:
                log.writerow(["step", "seconds", "tokens", "learning_rate_factor", "loss_per_assistant_token"])
            while self.spent < args.minutes * 60:
                loss, factor = self.train_step(source)
                losses.append(loss)
                now = time.monotonic()
                self.spent, last = self.spent + now - last, now
                if self.step % 10 == 0 or self.step == 1:
                    log.writerow([self.step, round(self.spent, 1), self.tokens, round(factor, 4),
                                  round(sum(losses) / len(losses), 4)])
                    log_file.flush()
                    losses = []
                if self.spent > next_save:
                    self.save()
                    next_save += args.save_s
                if self.spent > next_sample:
                    sample(self.ema, self.tokenizer, samples, f"step {self.step}, {self.spent:.0f} s")
                    next_sample += args.sample_s
            self.save()
            sample(self.ema, self.tokenizer, samples, f"end: step {self.step}, {self.spent:.0f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("corpus")
    parser.add_argument("tokenizer")
    parser.add_argument("run")
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--micro-tokens", type=int, default=2048)
    parser.add_argument("--micro-batches", type=int, default=4)
    parser.add_argument("--muon-lr", type=float, default=0.02)
    parser.add_argument("--adam-lr", type=float, default=0.004)
    parser.add_argument("--decay-from", type=float, default=0.4, help="share of the budget at full learning rate")
    parser.add_argument("--save-s", type=float, default=150)
    parser.add_argument("--sample-s", type=float, default=900)
    parser.add_argument("--seed", type=int, default=7)
    args = parser.parse_args()
    os.makedirs(args.run, exist_ok=True)
    random.seed(args.seed)
    Run(args).train()


if __name__ == "__main__":
    main()

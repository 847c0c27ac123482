"""Tokenizes the corpus and makes batches of dialogues of like length."""

import json
import random

import torch
from tokenizers import Tokenizer

IGNORE = -100


def encode(path, folder, max_length):
    """[(token ids, target ids)]: targets are IGNORE except for the assistant's own tokens."""
    tokenizer = Tokenizer.from_file(f"{folder}/tokenizer.json")
    special = {name: tokenizer.token_to_id(f"<|{name}|>")
               for name in ("begin_of_text", "end_of_text", "start_header_id", "end_header_id", "eot_id")}
    cache = {}

    def ids(text):
        found = cache.get(text)
        if found is None:
            found = cache[text] = tokenizer.encode(text, add_special_tokens=False).ids
        return found

    gap = ids("\n\n")
    out = []
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            item = json.loads(line)
            tokens, targets = [special["begin_of_text"]], [IGNORE]
            if "text" in item:
                body = ids(item["text"]) + [special["end_of_text"]]
                tokens += body
                targets += body
            for message in item.get("messages", []):
                head = [special["start_header_id"]] + ids(message["role"]) + [special["end_header_id"]] + gap
                body = ids(message["content"].strip()) + [special["eot_id"]]
                tokens += head + body
                learn = message["role"] == "assistant"
                targets += [IGNORE] * len(head) + (body if learn else [IGNORE] * len(body))
            if len(tokens) <= max_length + 1:
                out.append((tokens, targets))
    return out


def padded(length):
    """Few distinct lengths, since a CPU pays for each new matrix shape."""
    step = 8 if length <= 128 else 32 if length <= 512 else 256
    return (length + step - 1) // step * step


def plan(examples, batch_tokens, seed):
    """Batches of example numbers: like lengths together, in random order."""
    rng = random.Random(seed)
    buckets = {}
    for i, (tokens, _) in enumerate(examples):
        buckets.setdefault(padded(len(tokens) - 1), []).append(i)
    batches = []
    for length, members in sorted(buckets.items()):
        rng.shuffle(members)
        rows = max(1, batch_tokens // length)
        batches += [members[i:i + rows] for i in range(0, len(members), rows)]
    rng.shuffle(batches)
    return batches


def tensors(examples, batch, device):
    """(input ids [B, T], target ids [B, T]), padded on the right."""
    length = padded(max(len(examples[i][0]) for i in batch) - 1)
    ids = torch.zeros(len(batch), length, dtype=torch.long)
    targets = torch.full((len(batch), length), IGNORE, dtype=torch.long)
    for row, i in enumerate(batch):
        tokens, wanted = examples[i]
        ids[row, :len(tokens) - 1] = torch.tensor(tokens[:-1])
        targets[row, :len(tokens) - 1] = torch.tensor(wanted[1:])
    return ids.to(device), targets.to(device)

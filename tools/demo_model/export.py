#!/usr/bin/env python3
"""Writes a training checkpoint as a Hugging Face folder: config.json, generation_config.json, model.safetensors.

usage: export.py RUN_DIR OUT_DIR [--weights ema|model]

OUT_DIR already holds the tokenizer files (train_tokenizer.py). Weights are rounded to bfloat16. The run's log.csv
becomes training_log.csv.
"""

import argparse
import json
import os
import shutil

import torch
from safetensors.torch import save_file

from train_tokenizer import BOS, dump

EOS = ["<|end_of_text|>", "<|eom_id|>", "<|eot_id|>"]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run")
    parser.add_argument("out")
    parser.add_argument("--weights", choices=["ema", "model"], default="ema")
    args = parser.parse_args()
    state = torch.load(os.path.join(args.run, "checkpoint.pt"), map_location="cpu", weights_only=True)
    with open(os.path.join(args.out, "tokenizer.json"), encoding="utf-8") as file:
        ids = {t["content"]: t["id"] for t in json.load(file)["added_tokens"]}
    config = state["config"]
    assert max(ids.values()) + 1 == config["vocab_size"]
    eos = [ids[name] for name in EOS]
    dump(args.out, "config.json", dict(
        architectures=["LlamaForCausalLM"], attention_bias=False, attention_dropout=0.0, bos_token_id=ids[BOS],
        eos_token_id=eos, hidden_act="silu", initializer_range=0.02, mlp_bias=False, model_type="llama",
        pad_token_id=ids["<|finetune_right_pad_id|>"], pretraining_tp=1, rope_scaling=None,
        tie_word_embeddings=True, torch_dtype="bfloat16", transformers_version="4.45.0", use_cache=True, **config))
    dump(args.out, "generation_config.json", dict(
        bos_token_id=ids[BOS], do_sample=True, eos_token_id=eos, pad_token_id=ids["<|finetune_right_pad_id|>"],
        temperature=0.6, top_p=0.9, transformers_version="4.45.0"))
    weights = {name: value.to(torch.bfloat16).contiguous() for name, value in state[args.weights].items()}
    path = os.path.join(args.out, "model.safetensors")
    save_file(weights, path, metadata={"format": "pt"})
    os.chmod(path, 0o644)
    shutil.copyfile(os.path.join(args.run, "log.csv"), os.path.join(args.out, "training_log.csv"))
    print(f"{path}: {os.path.getsize(path)} bytes, step {state['step']}, {state['tokens']} tokens, "
          f"{state['spent'] / 60:.1f} minutes")


if __name__ == "__main__":
    main()

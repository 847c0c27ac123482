#!/usr/bin/env python3
"""Checks that model.py computes what Hugging Face's LlamaForCausalLM computes.

usage: check_math.py MODEL_DIR

Loads the exported weights into both in float32 and compares the logits over a long random sequence.
"""

import sys

import torch
import transformers
from safetensors.torch import load_file

from model import Config, Llama

TOLERANCE = 1e-3  # absolute, on logits of size about 10; float32 sums in another order


def main():
    folder = sys.argv[1]
    torch.manual_seed(0)
    reference = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    ours = Llama(Config(num_hidden_layers=reference.config.num_hidden_layers))
    ours.load_state_dict({k: v.float() for k, v in load_file(f"{folder}/model.safetensors").items()})
    for length in (1, 100, 700):
        ids = torch.randint(0, ours.config.vocab_size, (2, length))
        with torch.no_grad():
            difference = (ours(ids) - reference(ids).logits).abs().max().item()
        print(f"{length} positions: largest difference {difference:.2e}")
        assert difference < TOLERANCE
    print("equal")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Make the tiny random Llama checkpoints and their expected outputs under tests/golden/models.

    python3 tools/make_golden.py [--out tests/golden/models] [--only NAME]

Needs torch, transformers and safetensors (any version that knows Llama 3's rope scaling; the files
in the repository were made with torch 2.15 and transformers 5.23). Each folder is one variant: a
config.json in one of the spellings that Transformers has used, the weights, and expected.json:

    prompt     token ids, longer than original_max_position_embeddings
    positions  prompt positions whose logits are given
    logits     [len(positions)][vocab_size], float32 arithmetic, before any sampling
    greedy     the most likely continuation of the prompt, token by token
    margin     the smallest lead of a greedy token over the second best; above 1e-3, so that
               rounding cannot change the continuation

Weights are drawn much larger than a trained model's, so that every feature (scaling of rope, biases,
grouping of heads, epsilon) moves the logits far more than rounding does; the tests flip each feature
and ask for a difference. Output is the same on every run of the same library versions.
"""
import argparse
import json
import math
import pathlib
import shutil

import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

BASE = dict(
    architectures=["LlamaForCausalLM"], model_type="llama", vocab_size=300, hidden_size=64,
    intermediate_size=96, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
    max_position_embeddings=256, rms_norm_eps=0.02, rope_theta=10000.0, hidden_act="silu",
    tie_word_embeddings=False, attention_bias=False, mlp_bias=False, bos_token_id=1, eos_token_id=2,
    torch_dtype="float32")
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=32)

# name -> (changes to the config, dtype of the weights, number of weight files)
VARIANTS = {
    "base": (dict(num_hidden_layers=3), torch.float32, 1),
    "rope_llama3": (dict(rope_scaling=LLAMA3, rope_theta=50000.0), torch.float32, 1),
    "rope_linear": (dict(rope_scaling=dict(type="linear", factor=4.0)), torch.float32, 1),
    "tied": (dict(tie_word_embeddings=True), torch.float32, 1),
    "bias": (dict(attention_bias=True, mlp_bias=True), torch.float32, 1),
    "head_dim": (dict(head_dim=32, num_key_value_heads=1, rope_theta=None,
                      rope_parameters=dict(LLAMA3, rope_theta=10000.0)), torch.float32, 1),
    "bf16": (dict(num_key_value_heads=4, torch_dtype="bfloat16"), torch.bfloat16, 1),
    "f16": (dict(num_key_value_heads=1, torch_dtype="float16"), torch.float16, 1),
    "sharded": (dict(num_attention_heads=8), torch.float32, 3),
}
PROMPT_TOKENS, GREEDY_TOKENS, MIN_MARGIN = 72, 24, 2e-3
POSITIONS = [0, 1, 15, 40, 71]


def make_config(changes):
    config = dict(BASE, **changes)
    return {key: value for key, value in config.items() if value is not None}


def make_weights(c, generator):
    """Names and shapes of LlamaForCausalLM; matrices are [out, in]."""
    hidden, ffn = c["hidden_size"], c["intermediate_size"]
    head_dim = c.get("head_dim", hidden // c["num_attention_heads"])
    q, kv = c["num_attention_heads"] * head_dim, c["num_key_value_heads"] * head_dim
    draw = lambda shape, std: torch.randn(shape, generator=generator) * std
    weights = {"model.embed_tokens.weight": draw((c["vocab_size"], hidden), 0.4),
               "model.norm.weight": 1 + draw((hidden,), 0.25)}
    if not c["tie_word_embeddings"]:
        weights["lm_head.weight"] = draw((c["vocab_size"], hidden), 0.4)
    for layer in range(c["num_hidden_layers"]):
        prefix = f"model.layers.{layer}."
        for norm in ("input_layernorm", "post_attention_layernorm"):
            weights[prefix + norm + ".weight"] = 1 + draw((hidden,), 0.25)
        for name, out, size, bias in (
                ("self_attn.q_proj", q, hidden, "attention_bias"),
                ("self_attn.k_proj", kv, hidden, "attention_bias"),
                ("self_attn.v_proj", kv, hidden, "attention_bias"),
                ("self_attn.o_proj", hidden, q, "attention_bias"),
                ("mlp.gate_proj", ffn, hidden, "mlp_bias"),
                ("mlp.up_proj", ffn, hidden, "mlp_bias"),
                ("mlp.down_proj", hidden, ffn, "mlp_bias")):
            weights[prefix + name + ".weight"] = draw((out, size), 1.5 / math.sqrt(size))
            if c[bias]:
                weights[prefix + name + ".bias"] = draw((out,), 0.4)
    return weights


def save_weights(folder, weights, num_files):
    def save(name, part):
        save_file(part, folder / name, metadata={"format": "pt"})
        (folder / name).chmod(0o644)

    if num_files == 1:
        save("model.safetensors", weights)
        return
    names = [f"model-{i + 1:05d}-of-{num_files:05d}.safetensors" for i in range(num_files)]
    where = {name: names[i % num_files] for i, name in enumerate(weights)}
    for file in names:
        save(file, {k: v for k, v in weights.items() if where[k] == file})
    total = sum(w.numel() * w.element_size() for w in weights.values())
    write_json(folder / "model.safetensors.index.json",
               {"metadata": {"total_size": total}, "weight_map": where})


def write_json(path, value):
    path.write_text(json.dumps(value, indent=None if path.name == "expected.json" else 2) + "\n")


@torch.no_grad()
def expected_outputs(folder, prompt):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32,
                                                 attn_implementation="eager").eval()
    tokens, margin, prompt_logits = list(prompt), math.inf, None
    for _ in range(GREEDY_TOKENS):
        logits = model(torch.tensor([tokens]), use_cache=False).logits[0]
        if prompt_logits is None:
            prompt_logits = logits
        best = torch.topk(logits[-1], 2)
        margin = min(margin, float(best.values[0] - best.values[1]))
        tokens.append(int(best.indices[0]))
    rows = [[float(f"{value:.7g}") for value in prompt_logits[p].tolist()] for p in POSITIONS]
    return dict(prompt=prompt, positions=POSITIONS, greedy=tokens[len(prompt):], margin=margin,
                logits=rows)


def make_variant(folder, index, changes, dtype, num_files):
    config = make_config(changes)
    for attempt in range(100):
        generator = torch.Generator().manual_seed(1000 * index + attempt)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        weights = {k: v.to(dtype).contiguous() for k, v in make_weights(config, generator).items()}
        write_json(folder / "config.json", config)
        save_weights(folder, weights, num_files)
        prompt = torch.randint(3, config["vocab_size"], (PROMPT_TOKENS,), generator=generator)
        outputs = expected_outputs(folder, prompt.tolist())
        # A continuation that soon repeats itself tests little.
        if outputs["margin"] > MIN_MARGIN and len(set(outputs["greedy"])) > GREEDY_TOKENS // 2:
            write_json(folder / "expected.json", outputs)
            return attempt, outputs["margin"]
    raise SystemExit(f"{folder}: no seed gives a margin above {MIN_MARGIN}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("tests/golden/models"))
    parser.add_argument("--only", choices=VARIANTS)
    args = parser.parse_args()
    torch.set_num_threads(1)
    for index, (name, variant) in enumerate(VARIANTS.items()):
        if args.only in (None, name):
            attempt, margin = make_variant(args.out / name, index, *variant)
            print(f"{name}: attempt {attempt}, margin {margin:.4f}")


if __name__ == "__main__":
    main()

#!/usr/bin/env python3
"""Make the tiny random checkpoints and their expected outputs under tests/golden/models.

    python3 tools/make_golden.py [--out tests/golden/models] [--only NAME]

Needs torch, transformers and safetensors (the files in the repository were made with torch 2.15 and
transformers 5.24). Each folder is one variant: a config.json in one of the spellings that Transformers
has used, the weights, and expected.json:

    prompt     token ids, longer than windows and original_max_position_embeddings
    positions  prompt positions whose logits are given
    logits     [len(positions)][vocab_size], float32 arithmetic, before any sampling
    greedy     the most likely continuation of the prompt, token by token
    margin     the smallest lead of a greedy token over the second best; above 1e-3, so that
               rounding cannot change the continuation
    max_model_len  the longest sequence that the model is to be run with, where that decides its
               rotary factors

Weights are drawn much larger than a trained model's, so that every feature (scaling of rope, biases,
grouping of heads, epsilon, windows, caps, factors) moves the logits far more than rounding does; the tests flip each feature
and ask for a difference. Rows of all matrices are whole blocks of 32, so that block formats are
themselves, and those of "wide" are 256 for the formats with blocks of that size. Output is the same on
every run of the same library versions.
"""
import argparse
import json
import math
import pathlib
import shutil

import torch
import transformers
from safetensors.torch import save_file

# Small enough for many, with windows and original contexts shorter than the prompt.
SMALL = dict(
    vocab_size=96, hidden_size=64, intermediate_size=32, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=256, rms_norm_eps=0.02, rope_theta=10000.0,
    hidden_act="silu", tie_word_embeddings=False, bos_token_id=1, eos_token_id=2, pad_token_id=0,
    torch_dtype="bfloat16")
LLAMA = dict(SMALL, architectures=["LlamaForCausalLM"], model_type="llama", pad_token_id=None,
             attention_bias=False, mlp_bias=False)
LLAMA3 = dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=32)
GEMMA = dict(SMALL, head_dim=24, num_key_value_heads=1, hidden_act=None,
             hidden_activation="gelu_pytorch_tanh", tie_word_embeddings=True, sliding_window=16)
PHI3 = dict(SMALL, architectures=["Phi3ForCausalLM"], model_type="phi3", partial_rotary_factor=0.75)
FACTORS = dict(short_factor=[1.0, 1.25, 1.5, 2.0, 2.5, 3.0], long_factor=[1.0, 2.0, 4.0, 6.0, 7.0, 9.0])
GEMMA3_TEXT = dict(GEMMA, model_type="gemma3_text", query_pre_attn_scalar=20)
VARIANTS = {
    "base": dict(LLAMA, num_hidden_layers=3, torch_dtype="float32"),
    "rope_llama3": dict(LLAMA, rope_scaling=LLAMA3, rope_theta=50000.0),
    "rope_linear": dict(LLAMA, rope_scaling=dict(type="linear", factor=4.0)),
    "tied": dict(LLAMA, tie_word_embeddings=True),
    "bias": dict(LLAMA, attention_bias=True, mlp_bias=True),
    "head_dim": dict(LLAMA, head_dim=32, num_key_value_heads=1, rope_theta=None,
                     rope_parameters=dict(LLAMA3, rope_theta=10000.0)),
    "bf16": dict(LLAMA, num_key_value_heads=4, intermediate_size=96),
    "f16": dict(LLAMA, num_key_value_heads=1, torch_dtype="float16"),
    "sharded": dict(LLAMA, num_attention_heads=8),
    "wide": dict(LLAMA, hidden_size=256, intermediate_size=256, num_attention_heads=8,
                 num_key_value_heads=1, num_hidden_layers=1),
    "mistral": dict(SMALL, architectures=["MistralForCausalLM"], model_type="mistral",
                    num_attention_heads=8, head_dim=12, sliding_window=16),
    "qwen2": dict(SMALL, architectures=["Qwen2ForCausalLM"], model_type="qwen2",
                  tie_word_embeddings=True, use_sliding_window=True, sliding_window=16,
                  max_window_layers=1,
                  rope_scaling=dict(type="yarn", factor=4.0, original_max_position_embeddings=32)),
    "qwen3": dict(SMALL, architectures=["Qwen3ForCausalLM"], model_type="qwen3", head_dim=8,
                  rope_theta=None, rope_parameters=dict(rope_type="default", rope_theta=5000.0),
                  use_sliding_window=True, sliding_window=20,
                  layer_types=["sliding_attention", "full_attention"]),
    "phi3": dict(PHI3, original_max_position_embeddings=32,
                 rope_scaling=dict(FACTORS, type="longrope")),
    "phi3_short": dict(PHI3, rope_theta=None, partial_rotary_factor=None, sliding_window=24,
                       rope_parameters=dict(FACTORS, rope_type="longrope", rope_theta=10000.0,
                                            partial_rotary_factor=0.75,
                                            original_max_position_embeddings=128),
                       original_max_position_embeddings=128),
    "gemma2": dict(GEMMA, architectures=["Gemma2ForCausalLM"], model_type="gemma2",
                   query_pre_attn_scalar=20, attn_logit_softcapping=6.0,
                   final_logit_softcapping=20.0),
    "gemma3": dict(GEMMA3_TEXT, architectures=["Gemma3ForCausalLM"], rope_theta=50000.0,
                   rope_scaling=dict(rope_type="linear", factor=8.0), rope_local_base_freq=500.0,
                   sliding_window_pattern=2),
    "gemma3_multimodal": dict(
        architectures=["Gemma3ForConditionalGeneration"], model_type="gemma3",
        torch_dtype="bfloat16", eos_token_id=[2, 3], boi_token_index=4, eoi_token_index=5,
        image_token_index=0, mm_tokens_per_image=1,
        text_config=dict(GEMMA3_TEXT, rope_theta=None,
                         layer_types=["sliding_attention", "full_attention"],
                         rope_parameters=dict(
                             sliding_attention=dict(rope_type="default", rope_theta=300.0),
                             full_attention=dict(rope_type="linear", factor=4.0,
                                                 rope_theta=20000.0))),
        vision_config=dict(hidden_size=8, intermediate_size=8, num_hidden_layers=1,
                           num_attention_heads=1, image_size=4, patch_size=2)),
    "smollm3": dict(SMALL, architectures=["SmolLM3ForCausalLM"], model_type="smollm3",
                    tie_word_embeddings=None, no_rope_layer_interval=2),
    "granite": dict(SMALL, architectures=["GraniteForCausalLM"], model_type="granite",
                    tie_word_embeddings=True, attention_bias=True, embedding_multiplier=4.0,
                    residual_multiplier=0.6, attention_multiplier=0.2, logits_scaling=2.0),
}
NUM_FILES = {"sharded": 3}
MAX_MODEL_LEN = {"phi3_short": 128}
PROMPT_TOKENS, GREEDY_TOKENS, MIN_MARGIN = 72, 24, 2e-3
POSITIONS = [0, 1, 15, 40, 71]


def without_nones(config):
    return {key: without_nones(value) if isinstance(value, dict) else value
            for key, value in config.items() if value is not None}


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


def draw_parameters(folder, generator):
    """Random values for the parameters that Transformers gives the model of folder/config.json, the
    language model's alone."""
    config = transformers.AutoConfig.from_pretrained(folder)
    model_class = getattr(transformers, config.architectures[0])
    text = config.get_text_config()
    weights = {}
    for name, parameter in model_class(config).state_dict().items():
        if "vision" in name or "multi_modal" in name:
            continue
        if text.tie_word_embeddings and name == "lm_head.weight":
            continue
        values = torch.randn(parameter.shape, generator=generator)
        gemma = "gemma" in config.model_type
        if "norm" in name:
            # Without strong blocks, Gemma's large embeddings would only repeat the last token.
            mean = (2 if "post_" in name else 0) if gemma else 1
            weights[name] = mean + values * 0.25
        elif "embed_tokens" in name and (gemma or config.model_type == "granite"):
            weights[name] = values * 0.15
        elif parameter.ndim == 1 or "embed_tokens" in name or "lm_head" in name:
            weights[name] = values * 0.4
        else:
            weights[name] = values * 1.5 / math.sqrt(parameter.shape[1])
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
def expected_outputs(model, prompt):
    """What expected.json says of a model in f32."""
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


def load(folder, config, **options):
    model = getattr(transformers, config["architectures"][0]).from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", **options)
    return model.to(torch.float32).eval()


def make_variant(folder, first_seed, config, draw, run, accept, num_files=1):
    """Tries seeds until `accept` takes the outputs. `draw` gives the weights for a generator, `run` the
    outputs for a prompt. Returns the number of seeds tried before, and the outputs."""
    config = without_nones(config)
    vocab_size = config.get("text_config", config)["vocab_size"]
    for attempt in range(200):
        generator = torch.Generator().manual_seed(first_seed + attempt)
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        write_json(folder / "config.json", config)
        save_weights(folder, draw(folder, config, generator), num_files)
        prompt = torch.randint(3, vocab_size, (PROMPT_TOKENS,), generator=generator)
        outputs = run(folder, config, prompt.tolist())
        if outputs["margin"] > MIN_MARGIN and accept(outputs):
            write_json(folder / "expected.json", outputs)
            return attempt, outputs
    raise SystemExit(f"{folder}: no seed gives wide enough margins")


def make_all(doc, variants, make):
    """The command line: makes all variants, or one; `make` is called with folder, number and config."""
    parser = argparse.ArgumentParser(description=doc.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("tests/golden/models"))
    parser.add_argument("--only", choices=variants)
    args = parser.parse_args()
    torch.set_num_threads(1)
    transformers.utils.logging.disable_progress_bar()
    for index, (name, config) in enumerate(variants.items()):
        if args.only in (None, name):
            attempt, outputs = make(args.out / name, index, config)
            margins = ", ".join(f"{key} {outputs[key]:.4f}" for key in outputs if "margin" in key)
            print(f"{name}: attempt {attempt}, {margins}", flush=True)


def make_dense(folder, index, config):
    is_llama = config["model_type"] == "llama"

    def draw(folder, config, generator):
        dtype = getattr(torch, config["torch_dtype"])
        weights = make_weights(config, generator) if is_llama else draw_parameters(folder, generator)
        return {name: values.to(dtype).contiguous() for name, values in weights.items()}

    def run(folder, config, prompt):
        extra = ({"max_model_len": MAX_MODEL_LEN[folder.name]} if folder.name in MAX_MODEL_LEN
                 else {})
        return dict(expected_outputs(load(folder, config), prompt), **extra)

    # A continuation that soon repeats itself tests little; with large tied embeddings all do.
    min_distinct = GREEDY_TOKENS // (2 if is_llama else 4)
    return make_variant(folder, 1000 * index, config, draw, run,
                        lambda outputs: len(set(outputs["greedy"])) > min_distinct,
                        NUM_FILES.get(folder.name, 1))


if __name__ == "__main__":
    make_all(__doc__, VARIANTS, make_dense)

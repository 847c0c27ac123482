#!/usr/bin/env python3
"""Make the tiny GGUF files under tests/golden/gguf, and the safetensors folder they come from.

    python3 tools/make_gguf_golden.py [--out tests/golden/gguf]

Needs numpy and gguf (the files in the repository were made with gguf 0.19). The GGUF
files are written the way llama.cpp's converter writes them: rows of queries and keys in the order of
interleaved rotary pairs, rope scaling as a tensor of factors, a vocabulary in tokenizer.ggml.*. All
weights are exact in bf16 and f16, so that every file but mixed.gguf holds the same numbers.

    folder/             the model as Hugging Face has it, bf16
    llama.gguf          in f32
    split-*.gguf        in f16, in three parts
    mixed.gguf          matrices in every format that gguf.quants can write, and a tensor of random
                        blocks of every other one that it can read
    mixed.json          of each tensor of mixed.gguf the FNV-1a hash of what gguf.quants.dequantize
                        says, as little-endian floats
"""
import argparse
import json
import pathlib
import struct

import gguf
import numpy as np
from gguf.quants import dequantize, quantize

TEMPLATE = ("{{ bos_token }}{% for m in messages %}<|{{ m['role'] }}|>{{ m['content'] }}<|end|>{% endfor %}"
            "{% if add_generation_prompt %}<|assistant|>{% endif %}")
LAYER_NAMES = {
    "input_layernorm": "attn_norm", "self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
    "post_attention_layernorm": "ffn_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down"}
OUTSIDE = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight",
           "lm_head.weight": "output.weight"}


def gguf_name(name):
    if name in OUTSIDE:
        return OUTSIDE[name]
    _, _, layer, rest = name.split(".", 3)
    stem, ending = rest.rsplit(".", 1)
    return f"blk.{layer}.{LAYER_NAMES[stem]}.{ending}"


def interleave(rows, heads):
    """Half-split pairs (i, i + D/2) of each head become neighbours (2i, 2i + 1)."""
    return rows.reshape(heads, 2, -1, *rows.shape[1:]).swapaxes(1, 2).reshape(rows.shape)


CONFIG = dict(
    architectures=["LlamaForCausalLM"], model_type="llama", vocab_size=272, hidden_size=32,
    intermediate_size=64, num_hidden_layers=1, num_attention_heads=2, num_key_value_heads=1,
    max_position_embeddings=32768, rms_norm_eps=1e-5, rope_theta=500000.0, hidden_act="silu",
    tie_word_embeddings=False, attention_bias=True, mlp_bias=False, bos_token_id=1, eos_token_id=[2, 6],
    rope_scaling=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                      original_max_position_embeddings=8192))


def draw_weights(c):
    """Multiples of 2^-6 below 2: exact in bf16 and f16."""
    rng = np.random.default_rng(7)
    draw = lambda *shape: (rng.integers(-127, 128, shape) / 64).astype(np.float32)
    hidden, ffn, vocab = c["hidden_size"], c["intermediate_size"], c["vocab_size"]
    kv = hidden // c["num_attention_heads"] * c["num_key_value_heads"]
    weights = {"model.embed_tokens.weight": draw(vocab, hidden), "model.norm.weight": draw(hidden),
               "lm_head.weight": draw(vocab, hidden)}
    for layer in range(c["num_hidden_layers"]):
        p = f"model.layers.{layer}."
        for name in ("input_layernorm", "post_attention_layernorm"):
            weights[p + name + ".weight"] = draw(hidden)
        for name, out in (("q", hidden), ("k", kv), ("v", kv), ("o", hidden)):
            weights[f"{p}self_attn.{name}_proj.weight"] = draw(out, hidden)
            weights[f"{p}self_attn.{name}_proj.bias"] = draw(out)
        for name, out, size in (("gate", ffn, hidden), ("up", ffn, hidden), ("down", hidden, ffn)):
            weights[f"{p}mlp.{name}_proj.weight"] = draw(out, size)
    return weights


def write_folder(folder, config, weights):
    """safetensors by hand: numpy has no bf16."""
    folder.mkdir(exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    header, data = {}, b""
    for name, value in weights.items():
        part = (value.view(np.uint32) >> 16).astype("<u2").tobytes()
        header[name] = dict(dtype="BF16", shape=value.shape, data_offsets=[len(data), len(data) + len(part)])
        data += part
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)


def byte_letters():
    """GPT-2's letters of the 256 bytes."""
    plain = [*range(33, 127), *range(161, 173), *range(174, 256)]
    others = [b for b in range(256) if b not in plain]
    letters = {b: chr(b) for b in plain}
    letters.update({b: chr(256 + i) for i, b in enumerate(others)})
    return [letters[b] for b in range(256)]


def add_vocabulary(writer, size):
    special = ["<unk>", "<s>", "</s>", "<|user|>", "<|assistant|>", "<|system|>", "<|end|>"]
    merges = ["h e", "l l", "he ll", "hell o", "\u0120 w", "o r"]
    tokens = special + byte_letters() + [m.replace(" ", "") for m in merges]
    types = [gguf.TokenType.CONTROL] * len(special) + [gguf.TokenType.NORMAL] * (len(tokens) - len(special))
    while len(tokens) < size:
        tokens.append(f"[PAD{len(tokens)}]")
        types.append(gguf.TokenType.UNUSED)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("llama-bpe")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_eot_token_id(6)
    writer.add_add_bos_token(True)
    writer.add_chat_template(TEMPLATE)


def add_llama_keys(writer, c):
    writer.add_name("tiny")
    writer.add_context_length(c["max_position_embeddings"])
    writer.add_embedding_length(c["hidden_size"])
    writer.add_block_count(c["num_hidden_layers"])
    writer.add_feed_forward_length(c["intermediate_size"])
    writer.add_head_count(c["num_attention_heads"])
    writer.add_head_count_kv(c["num_key_value_heads"])
    writer.add_layer_norm_rms_eps(c["rms_norm_eps"])
    writer.add_rope_freq_base(c["rope_theta"])
    writer.add_rope_dimension_count(c["hidden_size"] // c["num_attention_heads"])
    writer.add_vocab_size(c["vocab_size"])


def rope_factors(c):
    """As llama.cpp's converter: Transformers' formula of "llama3", as divisors of the frequencies."""
    s = c["rope_scaling"]
    dim = c["hidden_size"] // c["num_attention_heads"]
    factors = []
    for i in range(0, dim, 2):
        frequency = c["rope_theta"] ** (-i / dim)
        wavelength = 2 * np.pi / frequency
        old = s["original_max_position_embeddings"]
        if wavelength < old / s["high_freq_factor"]:
            factors.append(1.0)
        elif wavelength > old / s["low_freq_factor"]:
            factors.append(s["factor"])
        else:
            smooth = (old / wavelength - s["low_freq_factor"]) / (s["high_freq_factor"] - s["low_freq_factor"])
            factors.append(1 / ((1 - smooth) / s["factor"] + smooth))
    return np.array(factors, np.float32)


def converted(config, weights):
    """The tensors under GGUF's names and in its order of rows."""
    heads, kv = config["num_attention_heads"], config["num_key_value_heads"]
    out = {}
    for name, value in weights.items():
        value = np.asarray(value)
        if ".q_proj." in name:
            value = interleave(value, heads)
        elif ".k_proj." in name:
            value = interleave(value, kv)
        out[gguf_name(name)] = value
    return out


def write(path, config, tensors, type_of, extra={}, **options):
    writer = gguf.GGUFWriter(path, "llama", **options)
    add_llama_keys(writer, config)
    add_vocabulary(writer, config["vocab_size"])
    if "rope_scaling" in config:
        writer.add_tensor("rope_freqs.weight", rope_factors(config))
    for name, value in tensors.items():
        kind = type_of(name, value)
        if kind == gguf.GGMLQuantizationType.F32:
            writer.add_tensor(name, value.astype(np.float32))
        elif kind == gguf.GGMLQuantizationType.F16:
            writer.add_tensor(name, value.astype(np.float16))
        else:
            writer.add_tensor(name, quantize(value.astype(np.float32), kind), raw_dtype=kind)
    for kind, blocks in extra.items():
        writer.add_tensor(f"extra.{kind.name}", blocks, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def fnv1a(data):
    value = 0xcbf29ce484222325
    for byte in data:
        value = (value ^ byte) * 0x100000001b3 % 2**64
    return value


def random_blocks(rng, kind):
    """One block of a format with blocks of 256, its scales small finite halves."""
    elements, size = gguf.GGML_QUANT_SIZES[kind]
    block = bytearray(rng.integers(0, 256, size, dtype=np.uint8).tobytes())
    halves = {"Q2_K": (80, 82), "Q3_K": (108,), "Q4_K": (0, 2), "Q5_K": (0, 2), "Q6_K": (208,)}
    for at in halves[kind.name]:
        block[at:at + 2] = np.float16(rng.uniform(-0.1, 0.1)).tobytes()
    return np.frombuffer(bytes(block), np.uint8).reshape(1, size)


def write_mixed(out, config, tensors):
    types = gguf.GGMLQuantizationType
    kinds = [types.Q4_0, types.Q4_1, types.Q5_0, types.Q5_1, types.Q8_0, types.BF16, types.MXFP4]
    matrices = [name for name, value in tensors.items() if value.ndim == 2]
    kind_of = {name: kinds[i % len(kinds)] for i, name in enumerate(matrices)}
    rng = np.random.default_rng(5)
    extra = {kind: random_blocks(rng, kind)
             for kind in (types.Q2_K, types.Q3_K, types.Q4_K, types.Q5_K, types.Q6_K)}
    path = out / "mixed.gguf"
    write(path, config, tensors, lambda name, value: kind_of.get(name, types.F32), extra)
    hashes = {t.name: f"{fnv1a(dequantize(t.data, t.tensor_type).astype('<f4').tobytes()):016x}"
              for t in gguf.GGUFReader(path).tensors}
    (out / "mixed.json").write_text(json.dumps(hashes, indent=1) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("tests/golden/gguf"))
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    types = gguf.GGMLQuantizationType
    weights = draw_weights(CONFIG)
    write_folder(out / "folder", CONFIG, weights)
    tensors = converted(CONFIG, weights)
    write(out / "llama.gguf", CONFIG, tensors, lambda name, value: types.F32)
    for old in out.glob("split-*.gguf"):
        old.unlink()
    write(out / "split.gguf", CONFIG, tensors,
          lambda name, value: types.F16 if value.ndim == 2 else types.F32, split_max_tensors=7)
    write_mixed(out, CONFIG, tensors)
    for path in sorted(out.rglob("*.*")):
        path.chmod(0o644)
        print(path, path.stat().st_size)


if __name__ == "__main__":
    main()

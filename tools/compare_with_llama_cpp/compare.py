#!/usr/bin/env python3
"""Compares Pagoda's GGUF files and numbers with llama.cpp's, as two tables of docs/models.md.

    compare.py families [--golden FOLDER]
    compare.py formats --ids FILE [--model FOLDER]

Both take --pagoda FILE and --llama-cpp FILE, the program made of llama_cpp_logits.cc:

    cmake -B BUILD -S LLAMA -DCMAKE_BUILD_TYPE=Release -DGGML_OPENMP=OFF && cmake --build BUILD --target llama
    g++ -std=c++20 -O2 -ILLAMA/include -ILLAMA/ggml/include llama_cpp_logits.cc \\
        -LBUILD/bin -Wl,-rpath,BUILD/bin -lllama -lggml -lggml-base -o llama_cpp_logits

"families" writes the tiny models of tests/golden as f32 GGUF files and compares the logits that both
programs compute of the same file; Pagoda reads it without the config.json that it keeps in its own
files, so that both know only what GGUF says. "formats" gives llama.cpp's loss by weight format, against
its own f32: same tokens and formula as bench/format_loss.cc, whose last argument writes --ids. Needs numpy.
"""
import argparse
import json
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
FORMATS = ["f32", "bf16", "q8_0", "q6_k", "q5_1", "q5_0", "q4_1", "q4_k", "q4_0", "mxfp4"]
OWN_CONFIG = b"pagoda.config_json"
CONTEXT = 256  # that the goldens are opened with

# What a golden has that llama.cpp computes otherwise, whatever the file says: the key is set so, or the
# layers are those (of the golden's, in this order).
CHANGES = {
    "gemma2": {"query_pre_attn_scalar": 24},
    "gemma3": {"query_pre_attn_scalar": 24},
    "gemma3_multimodal": {"query_pre_attn_scalar": 24},
    # llama.cpp has the published limit and the usual bounds of yarn, which it always rounds.
    "gpt_oss": {"swiglu_limit": 7.0, "truncate": True, "beta_fast": 32.0, "beta_slow": 1.0},
    "gpt_oss_mxfp4": {"swiglu_limit": 7.0, "truncate": True, "beta_fast": 32.0, "beta_slow": 1.0},
    "mistral": {"sliding_window": None},
    "mixtral_fused": {"sliding_window": None},
    # llama.cpp rounds contexts up to multiples of 256, and takes the short factors up to the original one.
    "phi3_short": {"sliding_window": None, "max_position_embeddings": 512, "original_max_position_embeddings": 256},
    "qwen2": {"use_sliding_window": False},
    "qwen3": {"use_sliding_window": False, "layer_types": None},
    "qwen3_moe": {"layers": [0, 2], "mlp_only_layers": []},
    "qwen3_moe_fused": {"layers": [1, 1], "decoder_sparse_step": 1, "use_sliding_window": False,
                        "norm_topk_prob": True},
    "smollm3": {"layers": [0, 1, 0, 1], "no_rope_layer_interval": 4},
}


def run(*command):
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError((done.stderr or done.stdout).strip().splitlines()[-1])
    return done.stdout


def llama_cpp_logits(program, model, ids, scratch, context):
    """[tokens, V] of all texts of the file `ids`."""
    out = scratch / "logits.f32"
    run(program, model, ids, out, context)
    logits = np.fromfile(out, np.float32)
    num_tokens = sum(len(line.split(",")) for line in ids.read_text().splitlines())
    return logits.reshape(num_tokens, -1)


def pagoda_logits(program, model, ids, context):
    lines = run(program, "logits", model, "--ids", ids, "--all", "--top", 1000000, "--dtype", "float32",
                "--max-model-len", context).splitlines()
    rows = [json.loads(line) for line in lines]
    logits = np.empty((len(rows), len(rows[0]["ids"])), np.float32)
    for row in rows:
        logits[row["position"], row["ids"]] = row["logits"]
    return logits


def log_softmax(logits):
    logits = logits.astype(np.float64)
    logits -= logits.max(axis=1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def read_tensors(folder):
    tensors = {}
    for path in sorted(folder.glob("*.safetensors")):
        data = path.read_bytes()
        size = struct.unpack("<Q", data[:8])[0]
        for name, entry in json.loads(data[8:8 + size]).items():
            if name != "__metadata__":
                begin, end = (8 + size + offset for offset in entry["data_offsets"])
                tensors[name] = (entry["dtype"], entry["shape"], data[begin:end])
    return tensors


def write_tensors(path, tensors):
    header, offset = {}, 0
    for name, (dtype, shape, data) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [offset, offset + len(data)]}
        offset += len(data)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(data for _, _, data in tensors.values()))


def pick_layers(tensors, layers):
    picked = {name: tensor for name, tensor in tensors.items() if not name.startswith("model.layers.")}
    for new, old in enumerate(layers):
        prefix = f"model.layers.{old}."
        picked |= {f"model.layers.{new}.{name.removeprefix(prefix)}": tensor
                   for name, tensor in tensors.items() if name.startswith(prefix)}
    return picked


def copy_golden(golden, folder):
    """The golden with its CHANGES and a tokenizer, which every GGUF file must have."""
    shutil.copytree(golden, folder)
    shutil.copy(ROOT / "models/demo/tokenizer.json", folder)
    changes = dict(CHANGES.get(golden.name, {}))
    layers = changes.pop("layers", None)
    config = json.loads((folder / "config.json").read_text())
    for key, value in changes.items():
        config[key] = value
        for inner in (config.get("rope_parameters"), config.get("rope_scaling"), config.get("text_config")):
            if inner and key in inner:
                inner[key] = value
    if layers is not None:
        config["num_hidden_layers"] = len(layers)
        write_tensors(folder / "model.safetensors", pick_layers(read_tensors(golden), layers))
    (folder / "config.json").write_text(json.dumps(config))


def compare_family(options, golden, scratch):
    """(largest difference, positions with the same best token, positions) or the reason why not."""
    # The folder's name becomes the model's, and llama.cpp expects Phi-3's tokens of one named so.
    folder, file = scratch / "model", scratch / "model.gguf"
    shutil.rmtree(folder, ignore_errors=True)
    copy_golden(golden, folder)
    expected = json.loads((golden / "expected.json").read_text())
    ids = scratch / "ids"
    ids.write_text(",".join(map(str, expected["prompt"])) + "\n")
    try:
        run(options.pagoda, "quantize", folder, file, "--type", "f32")
        # Under another name of the same length Pagoda does not know its own key and reads GGUF's.
        file.write_bytes(file.read_bytes().replace(OWN_CONFIG, b"x" * len(OWN_CONFIG), 1))
        theirs = llama_cpp_logits(options.llama_cpp, file, ids, scratch, CONTEXT)
        ours = pagoda_logits(options.pagoda, file, ids.read_text().strip(), CONTEXT)
        folders = pagoda_logits(options.pagoda, folder, ids.read_text().strip(), CONTEXT)
    except RuntimeError as error:
        return f"{error}"
    same = int((ours.argmax(axis=1) == theirs.argmax(axis=1)).sum())
    return (f"{np.abs(folders - theirs).max():.1e} | {np.abs(ours - theirs).max():.1e} | {np.abs(theirs).max():.1f} | "
            f"{same}/{len(ours)}")


def families(options, scratch):
    print("| golden | folder against llama.cpp | file against llama.cpp | largest logit | same best token |\n"
          "|---|---|---|---|---|")
    for golden in sorted(options.golden.iterdir()):
        if (golden / "expected.json").exists():
            print(f"| {golden.name} | {compare_family(options, golden, scratch)} |", flush=True)


def formats(options, scratch):
    texts = [line.split(",") for line in options.ids.read_text().splitlines()]
    # Of each text all positions but the last, which has no next token.
    ends = np.cumsum([len(text) for text in texts])
    rows = np.setdiff1d(np.arange(ends[-1]), ends - 1)
    following = np.array([int(token) for text in texts for token in text])[rows + 1]
    print("| weights | same best token | perplexity | KL divergence |\n|---|---|---|---|")
    want = None
    for name in FORMATS:
        file = scratch / f"{name}.gguf"
        run(options.pagoda, "quantize", options.model, file, "--type", name)
        got = log_softmax(llama_cpp_logits(options.llama_cpp, file, options.ids, scratch, 0)[rows])
        want = got if want is None else want
        same = (want.argmax(axis=1) == got.argmax(axis=1)).mean()
        picked = np.arange(len(rows)), following
        perplexity = np.expm1((want[picked] - got[picked]).mean())
        divergence = (np.exp(want) * (want - got)).sum(axis=1).mean()
        print(f"| {name} | {100 * same:.2f} % | {100 * perplexity:+.4f} % | {divergence:.1e} |", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["families", "formats"])
    parser.add_argument("--pagoda", default=ROOT / "build/release/pagoda")
    parser.add_argument("--llama-cpp", default="./llama_cpp_logits")
    parser.add_argument("--golden", type=pathlib.Path, default=ROOT / "tests/golden/models")
    parser.add_argument("--model", type=pathlib.Path, default=ROOT / "models/demo")
    parser.add_argument("--ids", type=pathlib.Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        if options.what == "families":
            families(options, pathlib.Path(scratch))
        elif options.ids is None:
            parser.error("formats needs --ids")
        else:
            formats(options, pathlib.Path(scratch))
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""GGUF files serve as folders do, and `pagoda quantize` writes them."""

import json
import os
import shutil

import gguf
import numpy
import pytest

import harness
from harness import CAPITAL, ROOT, Server, assert_fails_clearly, run_pagoda

GOLDEN = ROOT / "tests/golden/gguf"


@pytest.fixture(scope="module")
def demo_f32(tmp_path_factory):
    """The demo model as a GGUF file with every number as it was."""
    path = tmp_path_factory.mktemp("gguf") / "demo-F32.gguf"
    done = run_pagoda("quantize", harness.MODEL, path, "--type", "f32", timeout=60)
    assert done.returncode == 0, done.stderr
    return path


def greedy(model, *flags):
    done = run_pagoda("run", "--system", "You are a helpful assistant.", "--temperature", "0", *flags,
                      "-p", "What is the capital of India?", model, timeout=30)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_a_file_runs_whole_and_in_parts():
    whole = run_pagoda("run", "-p", "hello", "--max-tokens", "8", "--temperature", "0", "--dtype", "float32",
                       GOLDEN / "llama.gguf")
    assert whole.returncode == 0, whole.stderr
    parts = run_pagoda("run", "-p", "hello", "--max-tokens", "8", "--temperature", "0", "--dtype", "float32",
                       GOLDEN / "split-00001-of-00003.gguf")
    assert parts.stdout == whole.stdout != ""


def test_info_shows_a_file():
    done = run_pagoda("info", GOLDEN / "llama.gguf")
    assert done.returncode == 0, done.stderr
    assert "LlamaForCausalLM" in done.stdout and "272 tokens" in done.stdout


def test_a_quantized_demo_model_answers_as_its_folder_does(demo_f32, tmp_path):
    assert greedy(demo_f32, "--dtype", "float32") == greedy(harness.MODEL, "--dtype", "float32")
    q8 = tmp_path / "demo-Q8_0.gguf"
    done = run_pagoda("quantize", demo_f32, q8, timeout=60)
    assert done.returncode == 0, done.stderr
    assert greedy(q8, "--dtype", "float32") == greedy(harness.MODEL, "--quantization", "q8_0")
    assert q8.stat().st_size < demo_f32.stat().st_size / 2


def test_a_file_is_served_under_its_name(demo_f32):
    with Server(model=demo_f32) as server:
        assert server.http.get("/v1/models").json()["data"][0]["id"] == "demo-F32"
        answer = server.http.post("/v1/chat/completions", json={
            "model": "demo-F32", "messages": CAPITAL, "temperature": 0}).json()
        assert "New Delhi" in answer["choices"][0]["message"]["content"]


def read_bf16(path):
    """The tensors of a safetensors file in bf16, as float32 arrays."""
    data = path.read_bytes()
    begin = 8 + int.from_bytes(data[:8], "little")
    tensors = {}
    for name, entry in json.loads(data[8:begin]).items():
        if name == "__metadata__":
            continue
        assert entry["dtype"] == "BF16"
        first, last = entry["data_offsets"]
        halves = numpy.frombuffer(data[begin + first:begin + last], numpy.uint16)
        tensors[name] = (halves.astype(numpy.uint32) << 16).view(numpy.float32).reshape(entry["shape"])
    return tensors


def test_quantize_replaces_nothing_but_another_gguf_file(demo_f32, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(harness.MODEL, folder)
    weights = (folder / "model.safetensors").read_bytes()
    notes = tmp_path / "notes.txt"
    notes.write_text("precious")
    fifo = tmp_path / "fifo"
    os.mkfifo(fifo)
    for out in (folder / "model.safetensors", folder / "tokenizer.json", notes, fifo, tmp_path):
        assert_fails_clearly(run_pagoda("quantize", folder, out), out.name)
    assert (folder / "model.safetensors").read_bytes() == weights
    assert notes.read_text() == "precious"
    assert fifo.is_fifo()
    other = tmp_path / "other.gguf"
    for kind in ("q8_0", "q4_0"):
        assert run_pagoda("quantize", demo_f32, other, "--type", kind).returncode == 0


def test_the_gguf_package_reads_what_was_written(demo_f32):
    reader = gguf.GGUFReader(demo_f32)
    assert reader.get_field("general.architecture").contents() == "llama"
    config = json.loads((harness.MODEL / "config.json").read_text())
    assert reader.get_field("llama.block_count").contents() == config["num_hidden_layers"]
    written = {tensor.name: tensor for tensor in reader.tensors}
    original = read_bf16(harness.MODEL / "model.safetensors")

    def same(name, value):
        return numpy.array_equal(written[name].data.reshape(value.shape), value)

    embedding = original["model.embed_tokens.weight"]
    assert same("token_embd.weight", embedding)
    query = original["model.layers.0.self_attn.q_proj.weight"]
    heads = config["num_attention_heads"]
    pairs = query.reshape(heads, 2, -1, query.shape[1]).swapaxes(1, 2).reshape(query.shape)
    assert same("blk.0.attn_q.weight", pairs)
    assert same("blk.0.ffn_down.weight", original["model.layers.0.mlp.down_proj.weight"])


def test_bad_requests_to_quantize_are_refused(demo_f32, tmp_path):
    out = tmp_path / "out.gguf"
    assert_fails_clearly(run_pagoda("quantize", demo_f32, out, "--type", "q9_9"), "q9_9")
    assert_fails_clearly(run_pagoda("quantize", tmp_path / "none", out), "none")
    assert_fails_clearly(run_pagoda("quantize", demo_f32, demo_f32), "is a file of the model that is read")
    assert_fails_clearly(run_pagoda("quantize", demo_f32, tmp_path / "no/out.gguf"), "cannot be created")
    assert not out.exists()


def test_damaged_files_are_refused_with_their_names(tmp_path):
    data = (GOLDEN / "llama.gguf").read_bytes()
    for size in (0, 3, 20, 200, 5000, len(data) - 64):
        cut = tmp_path / "cut.gguf"
        cut.write_bytes(data[:size])
        assert_fails_clearly(run_pagoda("run", "-p", "hello", cut), "cut.gguf")


# What GGUF cannot say of a golden (docs/models.md): set so that the rest can be compared.
SAYABLE = {
    "gemma2": {"query_pre_attn_scalar": 24},
    "gemma3": {"query_pre_attn_scalar": 24},
    "granite": {},
    "phi3": {},
    "phi3_short": {},
    "qwen2": {"use_sliding_window": False},
    "rope_linear": {},
    "rope_llama3": {},
}


def all_logits(model, expected):
    done = run_pagoda("logits", model, "--ids", ",".join(map(str, expected["prompt"])), "--all", "--top", "1000",
                      "--dtype", "float32", "--max-model-len", str(expected.get("max_model_len", 256)), timeout=60)
    assert done.returncode == 0, done.stderr
    rows = [json.loads(line) for line in done.stdout.splitlines()]
    return numpy.array([numpy.array(row["logits"])[numpy.argsort(row["ids"])] for row in rows])


@pytest.mark.parametrize("name", SAYABLE)
def test_the_keys_that_other_programs_know_say_all_of_a_family(name, tmp_path):
    folder = tmp_path / name
    shutil.copytree(ROOT / "tests/golden/models" / name, folder)
    shutil.copy(harness.MODEL / "tokenizer.json", folder)
    config = json.loads((folder / "config.json").read_text()) | SAYABLE[name]
    (folder / "config.json").write_text(json.dumps(config))
    file = tmp_path / "model.gguf"
    done = run_pagoda("quantize", folder, file, "--type", "f32", timeout=60)
    assert done.returncode == 0, done.stderr
    # Without our own config.json the file is read as one of any other program.
    own = b"pagoda.config_json"
    content = file.read_bytes()
    assert content.count(own) == 1
    file.write_bytes(content.replace(own, b"x" * len(own)))
    expected = json.loads((folder / "expected.json").read_text())
    assert numpy.abs(all_logits(file, expected) - all_logits(folder, expected)).max() < 1e-4
    assert "note:" not in done.stderr


@pytest.mark.parametrize("name, what", {"mistral": "sliding windows", "gemma2": "scale of attention",
                                        "smollm3": "layers without rope",
                                        "qwen3_moe": "layers without experts"}.items())
def test_quantize_says_what_other_programs_will_not_see(name, what, tmp_path):
    folder = tmp_path / name
    shutil.copytree(ROOT / "tests/golden/models" / name, folder)
    shutil.copy(harness.MODEL / "tokenizer.json", folder)
    done = run_pagoda("quantize", folder, tmp_path / "model.gguf", "--type", "f32", timeout=60)
    assert done.returncode == 0, done.stderr
    assert f"GGUF has no keys for its {what}, so" in done.stderr

"""`pagoda quantize` writes every family as llama.cpp's converter does, and what loading would make of it."""

import json
import shutil

import gguf
import pytest

import harness
from harness import assert_fails_clearly, run_pagoda

GOLDEN = harness.ROOT / "tests/golden/models"
FAMILIES = sorted(path.name for path in GOLDEN.iterdir())
OWN_CONFIG = b"pagoda.config_json"


def model_folder(name, tmp_path):
    """A golden with a tokenizer, and its prompt."""
    folder = tmp_path / name
    shutil.copytree(GOLDEN / name, folder)
    shutil.copy(harness.MODEL / "tokenizer.json", folder)
    return folder, json.loads((folder / "expected.json").read_text())


def quantized(folder, kind):
    out = folder.parent / f"{kind}.gguf"
    done = run_pagoda("quantize", folder, out, "--type", kind)
    assert done.returncode == 0, done.stderr
    return out


def logits(model, expected, *flags):
    ids = ",".join(map(str, expected["prompt"]))
    if "max_model_len" in expected:
        flags = (*flags, "--max-model-len", expected["max_model_len"])
    done = run_pagoda("logits", model, "--ids", ids, "--top", 1000, *flags)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("name", FAMILIES)
def test_the_file_is_the_model_that_loading_makes(name, tmp_path):
    folder, expected = model_folder(name, tmp_path)
    for kind in ("q8_0", "q4_0"):
        stored = logits(quantized(folder, kind), expected)
        assert stored == logits(folder, expected, "--quantization", kind, "--quantization-cache-dir", "none")
    assert logits(quantized(folder, "auto"), expected) == logits(folder, expected)


def expected_names(architecture):
    """The names that the gguf package has for the tensors of an architecture's layers."""
    number = next(key for key, value in gguf.MODEL_ARCH_NAMES.items() if value == architecture)
    tensors = set(gguf.MODEL_TENSORS[number])
    # llama.cpp has no Qwen3 MoE with dense layers between; they are named as everywhere else.
    if architecture == "qwen3moe":
        tensors |= {gguf.MODEL_TENSOR.FFN_GATE, gguf.MODEL_TENSOR.FFN_UP, gguf.MODEL_TENSOR.FFN_DOWN}
    return {gguf.TENSOR_NAMES[tensor] for tensor in tensors}


@pytest.mark.parametrize("name", FAMILIES)
def test_names_shapes_and_formats_are_those_of_the_converter(name, tmp_path):
    folder, _ = model_folder(name, tmp_path)
    reader = gguf.GGUFReader(quantized(folder, "q8_0"))
    architecture = reader.get_field("general.architecture").contents()
    names = expected_names(architecture)
    experts = reader.get_field(f"{architecture}.expert_count")
    for tensor in reader.tensors:
        base, _, ending = tensor.name.rpartition(".")
        parts = base.split(".")
        pattern = ".".join(["blk", "{bid}", *parts[2:]]) if parts[0] == "blk" else base
        assert pattern in names and ending in ("weight", "bias"), tensor.name
        matrix = ending == "weight" and len(tensor.shape) > 1 and "ffn_gate_inp" not in tensor.name
        assert tensor.tensor_type.name == ("Q8_0" if matrix else "F32"), tensor.name
        if "_exps" in tensor.name:
            assert len(tensor.shape) == (3 if matrix else 2)
            assert tensor.shape[-1] == experts.contents()
    assert any("_exps" in tensor.name for tensor in reader.tensors) == (experts is not None)


def test_formats_with_blocks_of_256_are_themselves_where_rows_are_long_enough(tmp_path):
    folder, _ = model_folder("wide", tmp_path)
    for kind, outer in (("q4_k", "Q6_K"), ("q6_k", "Q6_K")):
        types = {tensor.name: tensor.tensor_type.name for tensor in gguf.GGUFReader(quantized(folder, kind)).tensors}
        assert types["token_embd.weight"] == types["output.weight"] == outer
        matrices = {name: kind for name, kind in types.items() if "_norm" not in name and name.startswith("blk")}
        assert set(matrices.values()) == {kind.upper()}, matrices


def test_mxfp4_experts_stay_as_they_are_when_the_type_is_auto(tmp_path):
    folder, _ = model_folder("gpt_oss_mxfp4", tmp_path)
    for tensor in gguf.GGUFReader(quantized(folder, "auto")).tensors:
        if "_exps.weight" in tensor.name:
            assert tensor.tensor_type.name == "MXFP4", tensor.name
        elif "attn_q.weight" in tensor.name:
            assert tensor.tensor_type.name == "BF16"


# What GGUF's keys cannot say, and so is not compared: windows of Llama's, Qwen's and SmolLM3's
# architectures, which layers have windows, Gemma's scale of queries, gpt-oss's limit, Qwen's dense layers
# between, and yarn's factor of attention.
@pytest.mark.parametrize("name", ["base", "bias", "bf16", "head_dim", "rope_linear", "rope_llama3", "tied", "wide",
                                  "phi3", "phi3_short", "granite", "mixtral", "gpt_oss_mxfp4"])
def test_the_keys_alone_say_what_the_model_is(name, tmp_path):
    folder, expected = model_folder(name, tmp_path)
    own = quantized(folder, "bf16")
    keys_only = tmp_path / "keys.gguf"
    data = own.read_bytes()
    assert data.count(OWN_CONFIG) == 1
    keys_only.write_bytes(data.replace(OWN_CONFIG, b"pagoda.nothing_own"))
    assert logits(keys_only, expected) == logits(own, expected)


def test_a_key_that_contradicts_the_config_in_the_file_is_refused(tmp_path):
    folder, _ = model_folder("base", tmp_path)
    file = quantized(folder, "bf16")
    data = bytearray(file.read_bytes())
    # A key is followed by its type and its value, four bytes each.
    at = data.index(b"llama.block_count") + len(b"llama.block_count") + 4
    assert int.from_bytes(data[at:at + 4], "little") == 3
    data[at] = 2
    file.write_bytes(data)
    done = run_pagoda("logits", file, "--ids", "1")
    assert_fails_clearly(done, "block_count")
    assert '"llama.block_count" is 2' in done.stderr and "is 3" in done.stderr


def test_a_config_with_fewer_layers_than_the_weights_is_refused(tmp_path):
    folder, _ = model_folder("base", tmp_path)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(dict(config, num_hidden_layers=2)))
    for command in (("logits", folder, "--ids", "1"), ("quantize", folder, tmp_path / "out.gguf")):
        done = run_pagoda(*command)
        assert_fails_clearly(done, "num_hidden_layers")
        assert "model.layers.2." in done.stderr
    assert not (tmp_path / "out.gguf").exists()

"""The program refuses bad flags, files and models with one clear line, and its commands work."""

import json
import os
import pathlib
import random
import shutil
import struct
import subprocess

import pytest

import harness
from harness import CAPITAL, assert_fails_clearly, run_pagoda

GOLDEN = harness.ROOT / "tests/golden/models"


def test_version_and_help_are_printed():
    assert run_pagoda("version").stdout.startswith("pagoda 0.")
    for command in ("serve", "run", "chat", "info", "logits"):
        done = run_pagoda(command, "--help")
        assert done.returncode == 0
        assert "--max-model-len" in done.stdout


def test_info_shows_the_machine_the_model_and_the_variables():
    machine = run_pagoda("info")
    assert machine.returncode == 0, machine.stderr
    model = run_pagoda("info", harness.MODEL)
    assert model.returncode == 0, model.stderr
    assert "LlamaForCausalLM" in model.stdout
    assert "PAGODA_CPU_ISA" in run_pagoda("info", "--env").stdout


def test_info_shows_the_experts_of_a_mixture(tmp_path):
    golden = GOLDEN / "qwen3_moe"
    for source in (golden / "config.json", golden / "model.safetensors",
                   pathlib.Path(harness.MODEL) / "tokenizer.json"):
        shutil.copy(source, tmp_path)
    shown = run_pagoda("info", tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "Qwen3MoeForCausalLM" in shown.stdout
    assert "5, 3 a token, 32" in shown.stdout


def test_info_shows_what_sets_a_family_apart(tmp_path):
    shutil.copytree(GOLDEN / "gemma3", tmp_path / "model")
    shutil.copy(harness.MODEL / "tokenizer.json", tmp_path / "model")
    shown = run_pagoda("info", tmp_path / "model").stdout
    for text in ("Gemma3ForCausalLM", "16 tokens in 1 of 2 layers", "linear, theta 50000, factor 8", "theta 500",
                 "norms of heads"):
        assert text in shown, shown
    assert "sliding window" not in run_pagoda("info", harness.MODEL).stdout


def test_logits_are_those_of_transformers_for_each_position():
    for name in ("gemma2", "phi3_short"):
        expected = json.loads((GOLDEN / name / "expected.json").read_text())
        ids = ",".join(map(str, expected["prompt"]))
        flags = ["--ids", ids, "--dtype", "float32", "--max-model-len", expected.get("max_model_len", 256)]
        done = run_pagoda("logits", GOLDEN / name, "--all", "--top", "1000", *flags)
        assert done.returncode == 0, done.stderr
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        assert [line["position"] for line in lines] == list(range(len(expected["prompt"])))
        for position, wanted in zip(expected["positions"], expected["logits"], strict=True):
            line = lines[position]
            assert sorted(line["ids"]) == list(range(len(wanted)))
            assert line["logits"] == sorted(line["logits"], reverse=True)
            for token, logit in zip(line["ids"], line["logits"], strict=True):
                assert abs(logit - wanted[token]) < 1e-4, (name, position, token)
        last = run_pagoda("logits", GOLDEN / name, "--top", "3", *flags)
        assert json.loads(last.stdout) == {"position": lines[-1]["position"], "ids": lines[-1]["ids"][:3],
                                           "logits": lines[-1]["logits"][:3]}


@pytest.mark.parametrize("command", [("info",), ("list", "--json"), ("logits", "--ids", "1", str(harness.MODEL))])
def test_output_that_is_lost_is_an_error(command):
    with open("/dev/full", "w") as full:
        done = subprocess.run([str(harness.BINARY), *command], stdout=full, stderr=subprocess.PIPE, text=True, timeout=20,
                              check=False)
    assert done.returncode == 1
    assert "standard output" in done.stderr


@pytest.mark.parametrize("command", [("info", ""), ("tokenize", ""), ("quantize", "", "out.gguf")])
def test_an_empty_model_is_not_the_demo(command, tmp_path):
    assert_fails_clearly(run_pagoda(*command), "empty")


def test_a_template_cannot_steer_the_terminal(tmp_path):
    (tmp_path / "messages.json").write_text("[]")
    (tmp_path / "t.jinja").write_text("{{ raise_exception('a\\nb\\x1b[31mred') }}")
    done = run_pagoda("render", "--template", tmp_path / "t.jinja", "--messages", tmp_path / "messages.json")
    assert_fails_clearly(done, "red")
    assert "\x1b" not in done.stderr


@pytest.mark.parametrize("ids", ["", "1,x", "1,,2", "-1", "96", "99999999999", ",".join(["1"] * 257)])
def test_logits_refuses_what_are_no_token_ids(ids):
    assert_fails_clearly(run_pagoda("logits", GOLDEN / "gemma2", f"--ids={ids}"), "ids")


def test_run_answers_one_prompt():
    done = run_pagoda("run", "--system", "You are a helpful assistant.", "--temperature", "0",
                      "-p", "What is the capital of India?", harness.MODEL, timeout=30)
    assert done.returncode == 0, done.stderr
    assert "New Delhi" in done.stdout


def test_chat_answers_line_by_line_and_remembers():
    lines = "What is the capital of France?\nAnd of Italy?\n/exit\n"
    done = run_pagoda("chat", "--system", "You are a helpful assistant.", "--temperature", "0", harness.MODEL,
                      stdin=lines, timeout=30)
    assert done.returncode == 0, done.stderr
    assert done.stdout.index("capital of France") < done.stdout.index("capital of Italy")


def test_tokenize_prints_ids_that_a_server_would_take():
    model = pathlib.Path(harness.MODEL)
    done = run_pagoda("tokenize", str(model), "--null", "--decode", stdin="Hello there\0 two  texts")
    assert done.returncode == 0, done.stderr
    first, second = [json.loads(line) for line in done.stdout.splitlines()]
    assert first["text"] == "Hello there" and second["text"] == " two  texts"
    by_file = run_pagoda("tokenize", str(model / "tokenizer.json"), stdin="Hello there")
    assert json.loads(by_file.stdout) == first["ids"]
    special = run_pagoda("tokenize", str(model), "--add-special", stdin="Hello there")
    assert json.loads(special.stdout)[1:] == first["ids"]


def test_tokenize_replaces_what_is_no_utf_8_and_says_so():
    import subprocess

    done = subprocess.run([harness.BINARY, "tokenize", harness.MODEL, "--decode"], input=b"a\xe2\x82z",
                          capture_output=True, timeout=30)
    assert done.returncode == 0
    assert json.loads(done.stdout)["text"] == "a\ufffdz"
    assert b"not valid UTF-8" in done.stderr


BAD_FLAGS = [
    (["serve", "--port", "99999"], "port"),
    (["serve", "--port", "abc"], "port"),
    (["serve", "--max-num-seqs", "0"], "max-num-seqs"),
    (["serve", "--max-num-batched-tokens", "-1"], "max-num-batched-tokens"),
    (["serve", "--block-size", "0"], "block-size"),
    (["serve", "--block-size", "1000000000000"], "block-size"),
    (["serve", "--max-model-len", "0"], "max-model-len"),
    (["serve", "--max-model-len", "2000000000"], "max-model-len"),
    (["serve", "--num-gpu-blocks-override", "0"], "num-gpu-blocks-override"),
    (["serve", "--num-gpu-blocks-override", "2000000000"], ""),
    (["serve", "--kv-cache-memory", "lots"], "kv-cache-memory"),
    (["serve", "--memory-utilization", "1.5"], "memory-utilization"),
    (["serve", "--memory-utilization", "nan"], "memory-utilization"),
    (["serve", "--dtype", "float7"], "float7"),
    (["serve", "--kv-cache-dtype", "int3"], "int3"),
    (["serve", "--quantization", "q3"], "q3"),
    (["serve", "--threads", "-1"], "threads"),
    (["serve", "--seed", "-1"], "seed"),
    (["serve", "--drain-timeout", "-1"], "drain-timeout"),
    (["serve", "--log-level", "loud"], "loud"),
    (["serve", "--host", "999.1.1.1"], "999.1.1.1"),
    (["serve", "--uds", "/no/such/folder/socket"], "/no/such/folder/socket"),
    (["serve", "--uds", "/" + "a" * 200], ""),
    (["serve", "--api-key", ""], "api-key"),
    (["serve", "--chat-template", "missing.jinja"], "missing.jinja"),
    (["serve", "--config", "missing.yaml"], "missing.yaml"),
    (["serve", "--no-such-flag"], "no-such-flag"),
    (["serve", "--port"], "port"),
    (["serve", "--port", "1", "--port", "2"], "port"),
    (["serve", "one", "two"], ""),
    (["run", harness.MODEL], "prompt"),
    (["run", "-p", "x", "--max-tokens", "0", harness.MODEL], "max-tokens"),
    (["run", "-p", "x", "--temperature", "-1", harness.MODEL], "temperature"),
    (["info", "no-such-folder"], "no-such-folder"),
    (["serv"], "serv"),
    ([], ""),
]


@pytest.mark.parametrize(("arguments", "word"), BAD_FLAGS, ids=lambda value: " ".join(map(str, value))[:40])
def test_a_bad_flag_ends_with_one_line_that_names_it(arguments, word):
    if arguments[:1] == ["serve"] and "--host" not in arguments and "--port" not in arguments:
        arguments = [*arguments, "--port", "0"]
    assert_fails_clearly(run_pagoda(*arguments), word)


BAD_CONFIGS = {
    "duplicate key": ("block-size: 16\nport: 0\nblock-size: 32\n", "block-size"),
    "unknown key": ("port: 0\nportt: 1\n", "portt"),
    "bad value": ("port: 0\nmax-num-seqs: many\n", "max-num-seqs"),
    "nested": ("port:\n  number: 0\n", "line"),
    "not a mapping": ("- port\n- 0\n", "mapping"),
    "syntax": ("port: [0\n", "line"),
    "a list for one value": ("port: [1, 2]\n", "port"),
    "binary": ("\x00\x01\x02", ""),
    "an alias bomb": ("a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", ""),
}


@pytest.mark.parametrize(("text", "word"), BAD_CONFIGS.values(), ids=BAD_CONFIGS)
def test_a_bad_config_file_ends_with_one_line_that_names_the_fault(tmp_path, text, word):
    file = tmp_path / "pagoda.yaml"
    file.write_text(text)
    assert_fails_clearly(run_pagoda("serve", "--config", file, harness.MODEL), "pagoda.yaml", word)


def test_a_bad_environment_variable_is_named():
    done = run_pagoda("serve", harness.MODEL, env={"PAGODA_PORT": "many"})
    assert_fails_clearly(done, "PAGODA_PORT")
    assert_fails_clearly(run_pagoda("info", harness.MODEL, env={"PAGODA_CPU_ISA": "mmx"}), "mmx")


def test_the_command_line_wins_over_the_environment_and_that_over_the_file(tmp_path):
    file = tmp_path / "pagoda.yaml"
    file.write_text("served-model-name: [from-file]\nmax-model-len: 128\nmax-num-seqs: 2\n")
    variables = {"PAGODA_MAX_MODEL_LEN": "96", "PAGODA_MAX_NUM_SEQS": "zero"}
    with harness.Server("--config", file, "--max-num-seqs", "4", env=variables) as server:
        card = server.http.get("/v1/models").json()["data"][0]
        assert (card["id"], card["max_model_len"]) == ("from-file", 96)
        assert "New Delhi" in server.answer(CAPITAL, max_tokens=20)


# --- damaged models ---------------------------------------------------------------------------------

def edit_json(name, change):
    def damage(folder):
        content = json.loads((folder / name).read_text())
        change(content)
        (folder / name).write_text(json.dumps(content))
    return damage


def set_config(**values):
    return edit_json("config.json", lambda config: config.update(values))


def drop_config(key):
    return edit_json("config.json", lambda config: config.pop(key))


def write(name, content):
    return lambda folder: (folder / name).write_bytes(content)


def remove(*names):
    return lambda folder: [(folder / name).unlink() for name in names]


def weights_of(folder):
    return sorted(folder.glob("*.safetensors"))[0]


def truncate(share):
    def damage(folder):
        file = weights_of(folder)
        os.truncate(file, int(file.stat().st_size * share))
    return damage


def overwrite(offset, content):
    def damage(folder):
        with weights_of(folder).open("r+b") as file:
            file.seek(offset)
            file.write(content)
    return damage


def edit_header(change):
    """Rewrites the JSON header of the weights; the data stay as they are."""
    def damage(folder):
        file = weights_of(folder)
        data = file.read_bytes()
        size = struct.unpack("<Q", data[:8])[0]
        header = json.loads(data[8:8 + size])
        change(header)
        text = json.dumps(header).encode()
        file.write_bytes(struct.pack("<Q", len(text)) + text + data[8 + size:])
    return damage


def first(header):
    return next(name for name in header if name != "__metadata__")


def lose_a_tensor(header):
    del header[first(header)]


def rename_a_tensor(header):
    name = first(header)
    header["renamed"] = header.pop(name)


def reshape_a_tensor(header):
    tensor = header[first(header)]
    tensor["shape"] = [*tensor["shape"], 1, 1, 1, 1, 1]


def swap_a_shape(header):
    tensor = header[next(n for n in header if "down_proj" in n)]
    tensor["shape"].reverse()


def move_offsets(header):
    tensor = header[first(header)]
    tensor["data_offsets"] = [x + 2**62 for x in tensor["data_offsets"]]


def overlap_offsets(header):
    names = [name for name in header if name != "__metadata__"]
    header[names[0]]["data_offsets"] = header[names[1]]["data_offsets"]


def negative_offsets(header):
    tensor = header[first(header)]
    tensor["data_offsets"] = [-8, tensor["data_offsets"][1]]


def unknown_dtype(header):
    header[first(header)]["dtype"] = "F3"


def index_with_missing_shard(folder):
    weights_of(folder).rename(folder / "model-00001-of-00002.safetensors")
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"model.norm.weight": "model-00002-of-00002.safetensors"}}))


def index_outside(folder):
    weights_of(folder).rename(folder / "model-00001-of-00002.safetensors")
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"model.norm.weight": "../../../etc/passwd"}}))


def weights_as_folder(folder):
    file = weights_of(folder)
    file.unlink()
    file.mkdir()


def no_weights(folder):
    for file in folder.glob("*.safetensors"):
        file.unlink()


DAMAGES = {
    "empty folder": (lambda folder: [p.unlink() for p in folder.iterdir() if p.is_file()], "config.json"),
    "no config": (remove("config.json"), "config.json"),
    "config empty": (write("config.json", b""), "config.json"),
    "config cut": (write("config.json", b'{"architectures": ["Llama'), "config.json"),
    "config array": (write("config.json", b"[1, 2]"), "config.json"),
    "config deep": (write("config.json", b'{"a":' * 100_000), "config.json"),
    "config binary": (write("config.json", bytes(range(256))), "config.json"),
    "unknown architecture": (set_config(architectures=["MagicForCausalLM"]), "MagicForCausalLM"),
    "no architecture": (drop_config("architectures"), "architectures"),
    "zero layers": (set_config(num_hidden_layers=0), "num_hidden_layers"),
    "negative layers": (set_config(num_hidden_layers=-1), "num_hidden_layers"),
    "a billion layers": (set_config(num_hidden_layers=10**9), "num_hidden_layers"),
    "more layers than weights": (set_config(num_hidden_layers=60), "layers."),
    "layers as text": (set_config(num_hidden_layers="two"), "num_hidden_layers"),
    "layers as fraction": (set_config(num_hidden_layers=2.5), "num_hidden_layers"),
    "hidden size huge": (set_config(hidden_size=2**40), "hidden_size"),
    "hidden size other": (set_config(hidden_size=64), ""),
    "heads not divisible": (set_config(num_attention_heads=7), ""),
    "no hidden size": (drop_config("hidden_size"), "hidden_size"),
    "vocabulary too small": (set_config(vocab_size=10), ""),
    "eps not finite": (write("config.json", b'{"rms_norm_eps": 1e999}'), "config.json"),
    "activation unknown": (set_config(hidden_act="tanh"), "tanh"),
    "rope unknown": (set_config(rope_scaling={"rope_type": "magic", "factor": 2.0}), "magic"),
    "quantized checkpoint": (set_config(quantization_config={"quant_method": "magic", "bits": 4}), "magic"),
    "no weights": (no_weights, "safetensors"),
    "weights empty": (truncate(0), "safetensors"),
    "weights of 3 bytes": (lambda folder: os.truncate(weights_of(folder), 3), "safetensors"),
    "weights cut in half": (truncate(0.5), "safetensors"),
    "weights cut by a little": (truncate(0.999), "safetensors"),
    "weights are a folder": (weights_as_folder, "safetensors"),
    "header length enormous": (overwrite(0, b"\xff" * 8), "safetensors"),
    "header length sign": (overwrite(0, struct.pack("<Q", 2**63)), "safetensors"),
    "header length zero": (overwrite(0, struct.pack("<Q", 0)), "safetensors"),
    "header garbage": (overwrite(8, b"\xff" * 64), "safetensors"),
    "header not JSON": (overwrite(8, b"[" * 64), "safetensors"),
    "tensor lost": (edit_header(lose_a_tensor), ""),
    "tensor renamed": (edit_header(rename_a_tensor), ""),
    "tensor of rank 7": (edit_header(reshape_a_tensor), ""),
    "tensor of another shape": (edit_header(swap_a_shape), "down_proj"),
    "tensor outside the file": (edit_header(move_offsets), "safetensors"),
    "tensors overlap": (edit_header(overlap_offsets), "safetensors"),
    "tensor before the file": (edit_header(negative_offsets), "safetensors"),
    "tensor of unknown type": (edit_header(unknown_dtype), "F3"),
    "shard missing": (index_with_missing_shard, "safetensors"),
    "shard elsewhere": (index_outside, ""),
    "no tokenizer": (remove("tokenizer.json"), "tokenizer.json"),
    "tokenizer empty": (write("tokenizer.json", b""), "tokenizer.json"),
    "tokenizer cut": (write("tokenizer.json", b'{"model": {"type": "BPE", "vocab": {"a": 0,'), "tokenizer.json"),
    "tokenizer without a model": (write("tokenizer.json", b"{}"), "tokenizer.json"),
    "tokenizer unknown": (edit_json("tokenizer.json", lambda t: t["model"].update(type="Magic")), "Magic"),
    "token id huge": (edit_json("tokenizer.json", lambda t: t["model"]["vocab"].update(zzz=2**40)), "tokenizer.json"),
    "token id negative": (edit_json("tokenizer.json", lambda t: t["model"]["vocab"].update(zzz=-5)), "tokenizer.json"),
    "merge of unknown tokens": (edit_json("tokenizer.json", lambda t: t["model"]["merges"].append(["qzx", "zqx"])),
                                "tokenizer.json"),
    "tokenizer settings broken": (write("tokenizer_config.json", b"{"), "tokenizer_config.json"),
    "template broken": (edit_json("tokenizer_config.json", lambda t: t.update(chat_template="{% if %}")), ""),
    "generation settings broken": (write("generation_config.json", b"{"), "generation_config.json"),
}


@pytest.fixture
def model_copy(tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(harness.MODEL, folder)
    return folder


@pytest.mark.parametrize(("damage", "word"), DAMAGES.values(), ids=DAMAGES)
def test_a_damaged_model_is_refused_with_one_line_that_names_the_fault(model_copy, damage, word):
    damage(model_copy)
    assert_fails_clearly(run_pagoda("serve", "--port", "0", model_copy), word)


def test_a_model_that_is_not_there_is_named(tmp_path):
    for missing in (tmp_path / "nothing", harness.MODEL / "config.json"):
        assert_fails_clearly(run_pagoda("serve", "--port", "0", missing), pathlib.Path(missing).name)


def test_random_damage_never_crashes_the_program(model_copy):
    """Bytes of the headers flipped at random: it loads or refuses, and never dies of it."""
    rng = random.Random(20240817)
    files = [weights_of(model_copy), model_copy / "config.json", model_copy / "tokenizer.json"]
    originals = [file.read_bytes() for file in files]
    for _ in range(24):
        which = rng.randrange(len(files))
        data = bytearray(originals[which])
        for _ in range(rng.randrange(1, 6)):
            data[rng.randrange(min(len(data), 3000))] = rng.randrange(256)
        files[which].write_bytes(data)
        done = run_pagoda("run", "-p", "Hi", "--max-tokens", "2", model_copy, timeout=30)
        files[which].write_bytes(originals[which])
        assert done.returncode in (0, 1), done.stderr[-2000:]
        harness.assert_no_disaster(done.stderr)


@pytest.mark.parametrize("name", ["generation_config.json", "tokenizer_config.json", "chat_template.jinja"])
def test_what_stands_in_a_small_files_place_is_no_absent_file(name, tmp_path):
    def make_folder(path):
        path.mkdir()

    def make_dangling_link(path):
        path.symlink_to(tmp_path / "nowhere")

    for number, make in enumerate((make_folder, os.mkfifo, make_dangling_link)):
        model = tmp_path / str(number)
        shutil.copytree(harness.MODEL, model)
        (model / name).unlink(missing_ok=True)
        make(model / name)
        run = ("run", "--raw", "-p", "hello", "--max-tokens", "1", model)
        assert_fails_clearly(run_pagoda(*run), name)
        os.rename(model / name, tmp_path / f"{number}.aside")
        assert run_pagoda(*run).returncode == 0


def test_logits_keep_converted_matrices_in_the_folder_given(tmp_path):
    cache = tmp_path / "cache"
    arguments = ("logits", GOLDEN / "tied", "--ids", "1,2,3", "--quantization", "q8_0", "--quantization-cache-dir")
    first = run_pagoda(*arguments, cache)
    assert first.returncode == 0, first.stderr
    kept = {path.name: path.stat().st_mtime_ns for path in cache.iterdir()}
    assert len(kept) == 1
    again = run_pagoda(*arguments, cache)
    assert again.stdout == first.stdout == run_pagoda(*arguments, "none").stdout
    assert {path.name for path in cache.iterdir()} == set(kept)

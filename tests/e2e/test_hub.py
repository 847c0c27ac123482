"""`pagoda pull`, `list`, `rm` and `serve ORG/NAME` against a hub of our own on loopback, and the real huggingface_hub."""

import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import time

import pytest

import harness
from fake_hub import File, Hub, Repo, Slow, cut_in_headers, hang_up
from harness import CAPITAL, CLEAN_ENVIRONMENT, assert_fails_clearly, run_pagoda

MIB = 1 << 20
NAME = "org/small"
TOKEN = "hf_" + "s3cr3t" * 5


def noise(num_bytes, seed=1):
    return random.Random(seed).randbytes(num_bytes)


def small_files(weights=b"weights"):
    return {"config.json": b"{}", "tokenizer.json": b'{"a": 1}', "README.md": b"# Model",
            "model.safetensors": File(weights, large=True)}


@pytest.fixture
def hub():
    with Hub({NAME: Repo(small_files())}) as running:
        yield running


@pytest.fixture
def cache(tmp_path):
    return tmp_path / "cache"


@pytest.fixture
def env(hub, cache, tmp_path):
    """The environment of a command: this hub, this cache, nothing of the caller's."""
    empty = {name: "" for name in ("HF_TOKEN", "HF_HOME", "HF_HUB_OFFLINE", "HTTP_PROXY", "http_proxy", "HTTPS_PROXY",
                                   "https_proxy", "ALL_PROXY", "all_proxy", "NO_PROXY", "no_proxy")}
    return {**empty, "HF_ENDPOINT": hub.url, "HF_HUB_CACHE": str(cache), "HOME": str(tmp_path)}


def pull(env, name=NAME, *flags, **options):
    return run_pagoda("pull", name, *flags, env=env, timeout=60, **options)


def pulled_path(done):
    assert done.returncode == 0, done.stderr
    harness.assert_no_disaster(done.stderr)
    return pathlib.Path(done.stdout.strip())


def names_in(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if not p.is_dir())


def partial_files(cache):
    return list(cache.glob("models--*/blobs/*.incomplete"))


# --- what is pulled, and where it lies ---------------------------------------------------------------------------------

def test_a_pull_brings_the_model_in_the_layout_of_the_shared_cache(hub, env, cache):
    folder = pulled_path(pull(env))
    repo = hub.repos[NAME]
    assert folder == cache / "models--org--small/snapshots" / repo.commit
    assert names_in(folder) == ["config.json", "model.safetensors", "tokenizer.json"]
    for path in folder.iterdir():
        file = repo.files[path.name]
        assert os.readlink(path) == f"../../blobs/{file.etag}"
        assert path.read_bytes() == file.data
    assert (cache / "models--org--small/refs/main").read_text() == repo.commit
    assert not partial_files(cache)


def test_a_second_pull_fetches_no_file_again(hub, env):
    first = pulled_path(pull(env))
    before = hub.bytes_sent()
    assert pulled_path(pull(env)) == first
    assert hub.bytes_sent() == before


def test_a_new_commit_fetches_only_what_changed(hub, env, cache):
    pulled_path(pull(env))
    files = {**hub.repos[NAME].files, "config.json": File(b'{"new": 1}')}
    hub.repos[NAME] = Repo(files, commit="b" * 40)
    before = hub.bytes_sent()
    assert (pulled_path(pull(env)) / "config.json").read_bytes() == b'{"new": 1}'
    assert hub.bytes_sent() - before == len(b'{"new": 1}')
    assert len(list((cache / "models--org--small/snapshots").iterdir())) == 2


def test_a_branch_a_tag_and_a_commit_can_be_named(hub, env, cache):
    repo = hub.repos[NAME]
    hub.revisions[(NAME, "refs/pr/7")] = repo.commit
    assert pulled_path(pull(env, f"{NAME}@refs/pr/7")).name == repo.commit
    assert (cache / "models--org--small/refs/refs/pr/7").read_text() == repo.commit
    assert pulled_path(pull(env, f"{NAME}@{repo.commit}")).name == repo.commit


def test_a_quantization_chooses_its_gguf_file_with_all_parts(hub, env):
    hub.repos["org/m-GGUF"] = Repo({
        "README.md": b"", "m-Q4_K_M.gguf": File(b"four", large=True), "m-Q4_K_S.gguf": File(b"small", large=True),
        "m-IQ4_XS.gguf": File(b"iq", large=True),
        "Q8_0/m-Q8_0-00001-of-00002.gguf": File(b"eight1", large=True),
        "Q8_0/m-Q8_0-00002-of-00002.gguf": File(b"eight2", large=True)})
    assert pulled_path(pull(env, "org/m-GGUF:Q4_K_M")).read_bytes() == b"four"
    first = pulled_path(pull(env, "org/m-GGUF:q8_0"))
    assert first.name == "m-Q8_0-00001-of-00002.gguf"
    assert sorted(p.read_bytes() for p in first.parent.iterdir()) == [b"eight1", b"eight2"]
    for wrong in ("org/m-GGUF:Q4_K", "org/m-GGUF:Q2_K", "org/m-GGUF"):
        assert_fails_clearly(pull(env, wrong), "m-Q4_K_M.gguf")


def test_include_and_exclude_choose_files(hub, env):
    assert names_in(pulled_path(pull(env, NAME, "--include", "*.md", "--include", "config*"))) == \
        ["README.md", "config.json"]
    hub.repos["org/other"] = Repo(small_files())
    assert "tokenizer.json" not in names_in(pulled_path(pull(env, "org/other", "--exclude", "token*")))


def test_a_thousand_files_and_names_of_all_languages_are_pulled(hub, env):
    names = [f"파일-{i:04d} ü%#?.json" for i in range(1000)]
    hub.repos["org/many"] = Repo({**small_files(), **{n: n.encode() for n in names}})
    folder = pulled_path(pull(env, "org/many"))
    assert all((folder / n).read_text() == n for n in names)


def test_an_empty_file_is_pulled(hub, env):
    hub.repos["org/empty"] = Repo({**small_files(), "added.json": b""})
    assert (pulled_path(pull(env, "org/empty")) / "added.json").read_bytes() == b""


def test_a_list_without_sizes_and_checksums_is_completed_by_asking_for_each_file(hub, env):
    def bare(answer):
        answer["siblings"] = [{"rfilename": s["rfilename"]} for s in answer["siblings"]]
    hub.listing_edit = bare
    folder = pulled_path(pull(env))
    assert (folder / "model.safetensors").read_bytes() == b"weights"
    assert len(hub.of("hub", "HEAD")) == 3


def test_pickled_weights_are_refused_in_words(hub, env):
    hub.repos["org/old"] = Repo({"config.json": b"{}", "pytorch_model.bin": b"pickle"})
    assert_fails_clearly(pull(env, "org/old"), "safetensors")


# --- ranges, resuming, several at once ---------------------------------------------------------------------------------

def test_a_large_file_comes_in_parallel_ranges(hub, env):
    data = noise(40 * MIB)
    hub.repos["org/large"] = Repo(small_files(data))
    hub.pace = Slow(0.002)
    assert (pulled_path(pull(env, "org/large")) / "model.safetensors").read_bytes() == data
    assert hub.most_sending >= 4
    assert len({r.range for r in hub.of("cdn")}) == 5
    assert hub.bytes_sent() < len(data) + 1000


def test_a_server_without_ranges_still_gives_the_file(hub, env):
    data = noise(20 * MIB)
    hub.repos["org/large"] = Repo(small_files(data))
    hub.with_ranges = False
    assert (pulled_path(pull(env, "org/large")) / "model.safetensors").read_bytes() == data


def start_pull(env, name):
    return subprocess.Popen([str(harness.BINARY), "pull", name], env={**CLEAN_ENVIRONMENT, **env},
                            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def wait_until(condition, seconds=30):
    deadline = time.monotonic() + seconds * harness.PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_after_a_kill_the_next_pull_goes_on_and_fetches_nothing_twice(hub, env, cache):
    data = noise(40 * MIB)
    hub.repos["org/large"] = Repo(small_files(data))
    hub.pace = Slow(0.005)
    process = start_pull(env, "org/large")
    wait_until(lambda: hub.bytes_sent() > 12 * MIB)
    process.kill()
    process.communicate()
    wait_until(lambda: hub.now_sending == 0)
    assert partial_files(cache)
    assert not list(cache.glob("models--org--large/snapshots/*/model.safetensors"))
    sent_before = hub.bytes_sent()
    hub.pace = None
    assert (pulled_path(pull(env, "org/large")) / "model.safetensors").read_bytes() == data
    # What was on its way when the process died is lost: the buffers of eight connections.
    assert hub.bytes_sent() - sent_before < len(data) - 4 * MIB
    assert hub.bytes_sent() < len(data) + 8 * 5 * MIB
    assert not partial_files(cache)


def test_two_pulls_at_once_share_one_download(hub, env):
    data = noise(24 * MIB)
    hub.repos["org/large"] = Repo(small_files(data))
    hub.pace = Slow(0.003)
    processes = [start_pull(env, "org/large") for _ in range(2)]
    outputs = [p.communicate(timeout=60 * harness.PATIENCE) for p in processes]
    assert [p.returncode for p in processes] == [0, 0], outputs
    for out, _ in outputs:
        assert (pathlib.Path(out.strip()) / "model.safetensors").read_bytes() == data
    assert hub.bytes_sent() < len(data) + 1000


# --- faults of the network and of the hub ------------------------------------------------------------------------------

def first_times(count, fault, server="cdn"):
    """`fault` for the first `count` requests to a server."""
    seen = []

    def choose(request):
        if request.server != server or request.method != "GET" or "/api/" in request.path or len(seen) >= count:
            return None
        seen.append(request)
        return fault
    return choose


@pytest.mark.parametrize("fault", [429, 500, 503, (429, {"Retry-After": "1"}), hang_up, cut_in_headers],
                         ids=["429", "500", "503", "429 with Retry-After", "no answer", "half an answer"])
@pytest.mark.parametrize("server", ["hub", "cdn"])
def test_passing_trouble_is_waited_out(hub, env, fault, server):
    hub.fault = first_times(2, fault, server)
    began = time.monotonic()
    assert (pulled_path(pull(env)) / "model.safetensors").read_bytes() == b"weights"
    if isinstance(fault, tuple):
        assert time.monotonic() - began >= 1


def test_the_list_of_files_is_asked_for_again_when_the_hub_is_busy(hub, env):
    seen = []

    def busy(request):
        if "/api/" in request.path and len(seen) < 2:
            seen.append(request)
            return 503
        return None
    hub.fault = busy
    pulled_path(pull(env))


def test_a_hub_that_wants_to_be_left_alone_is_left_alone(hub, env):
    hub.fault = lambda request: (429, {"Retry-After": "100000"}) if request.server == "cdn" else None
    assert_fails_clearly(pull(env), "100000 s")


def test_connections_that_break_again_and_again_still_bring_the_file(hub, env):
    data = noise(3 * MIB)
    hub.repos["org/large"] = Repo(small_files(data))

    def break_off(request, piece):
        if request.server == "cdn" and request.sent > 400_000:
            raise ConnectionAbortedError
    hub.pace = break_off
    assert (pulled_path(pull(env, "org/large")) / "model.safetensors").read_bytes() == data
    assert hub.bytes_sent() < len(data) + 2 * MIB


def test_corrupt_content_is_fetched_once_more_and_then_refused(hub, env, cache):
    good = hub.repos[NAME].files["model.safetensors"]
    spoiled = File(b"weighTs", large=True)
    spoiled.etag = good.etag
    hub.repos[NAME].files["model.safetensors"] = spoiled
    assert_fails_clearly(pull(env), "model.safetensors", "corrupt")
    assert not (cache / "models--org--small/blobs" / good.etag).exists()
    assert not list(cache.glob("models--*/snapshots/*/model.safetensors"))
    hub.repos[NAME].files["model.safetensors"] = good
    assert (pulled_path(pull(env)) / "model.safetensors").read_bytes() == b"weights"


def test_a_small_file_that_is_corrupt_is_refused_too(hub, env):
    hub.repos[NAME].files["config.json"].data = b"[]"
    assert_fails_clearly(pull(env), "config.json", "corrupt")


@pytest.mark.parametrize("change", [-3, +3])
def test_a_size_that_is_not_the_listed_one_is_refused(hub, env, change):
    def resize(answer):
        for entry in answer["siblings"]:
            entry["size"] += change
            if "lfs" in entry:
                entry["lfs"]["size"] += change
    hub.listing_edit = resize
    assert_fails_clearly(pull(env), "size")


def test_a_file_that_changes_between_its_ranges_begins_anew(hub, env, cache):
    old, new = noise(40 * MIB, 1), noise(40 * MIB, 2)
    hub.repos["org/large"] = Repo(small_files(old))
    changed = File(new, large=True)

    cut = []

    def change(request, piece):
        time.sleep(0.002)
        if hub.bytes_sent() > 10 * MIB and request.server == "cdn" and not cut:
            hub.repos["org/large"].files["model.safetensors"] = changed
            cut.append(request)
            raise ConnectionAbortedError
    hub.pace = change
    folder = pulled_path(pull(env, "org/large"))
    assert (folder / "model.safetensors").read_bytes() == new
    assert os.readlink(folder / "model.safetensors").endswith(changed.etag)
    assert not partial_files(cache)


def test_a_full_disk_is_told_before_and_while_downloading(hub, env, tmp_path):
    disk = tmp_path / "disk"
    disk.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", disk],
                                           capture_output=True).returncode != 0:
        pytest.skip("a small file system cannot be mounted")
    try:
        env = {**env, "HF_HUB_CACHE": str(disk)}
        hub.repos["org/large"] = Repo(small_files(noise(6 * MIB)))
        assert_fails_clearly(pull(env, "org/large"), "full", "6.3 MB more are needed", "free")
        assert hub.bytes_sent() < MIB
        # Without the sizes in the list it is noticed when it happens; there is room again afterwards.
        hub.listing_edit = lambda answer: {**answer, "siblings": [{"rfilename": s["rfilename"]}
                                                                  for s in answer["siblings"]]}
        assert_fails_clearly(pull(env, "org/large"), "full", "needed", "free")
    finally:
        subprocess.run(["umount", disk], check=True)


def test_a_file_that_may_not_grow_is_an_error_and_no_signal(hub, env):
    import resource
    hub.repos["org/large"] = Repo(small_files(noise(2 * MIB)))
    done = subprocess.run([str(harness.BINARY), "pull", "org/large"], env={**CLEAN_ENVIRONMENT, **env}, text=True,
                          capture_output=True, timeout=30 * harness.PATIENCE,
                          preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (MIB, MIB)))
    assert_fails_clearly(done, "cannot write")


# --- who may have what -------------------------------------------------------------------------------------------------

def test_the_token_goes_to_the_hub_and_never_to_the_server_behind_a_redirect(hub, env):
    hub.token = TOKEN
    done = pull({**env, "HF_TOKEN": TOKEN})
    pulled_path(done)
    assert all(r.headers.get("Authorization") == f"Bearer {TOKEN}" for r in hub.of("hub"))
    assert hub.of("cdn")
    assert all("Authorization" not in r.headers and TOKEN not in str(r.headers) for r in hub.of("cdn"))
    assert TOKEN not in done.stdout + done.stderr
    assert TOKEN not in run_pagoda("info", "--env", env={**env, "HF_TOKEN": TOKEN}).stdout


def test_the_token_is_read_from_its_file(hub, env, tmp_path):
    hub.token = TOKEN
    (tmp_path / "token").write_text(TOKEN + "\n")
    pulled_path(pull({**env, "HF_HOME": str(tmp_path)}))


def test_a_token_that_could_smuggle_a_header_is_refused(hub, env):
    done = pull({**env, "HF_TOKEN": "hf_abc\r\nX-Evil: 1"})
    assert_fails_clearly(done, "HF_TOKEN")
    assert not hub.requests


def test_a_gated_model_is_refused_with_the_page_of_its_licence(hub, env):
    hub.gated, hub.token = True, TOKEN
    assert_fails_clearly(pull(env), f"{hub.url}/{NAME}", "licence", "HF_TOKEN")
    assert_fails_clearly(pull({**env, "HF_TOKEN": "hf_other"}), f"{hub.url}/{NAME}", "no access")
    pulled_path(pull({**env, "HF_TOKEN": TOKEN}))


def test_what_is_not_there_is_named(hub, env):
    assert_fails_clearly(pull(env, "org/none"), "org/none", "private")
    assert_fails_clearly(pull(env, f"{NAME}@v9"), "v9", "revision")
    del hub.repos[NAME].files["tokenizer.json"]
    hub.listing_edit = lambda answer: answer["siblings"].append(
        {"rfilename": "tokenizer.json", "size": 8, "blobId": "a" * 40})
    assert_fails_clearly(pull(env), "tokenizer.json")


def test_a_refused_token_is_told_apart_from_a_model_that_is_not_there(hub, env):
    hub.fault = lambda request: 401
    assert_fails_clearly(pull({**env, "HF_TOKEN": TOKEN}), "HF_TOKEN")
    assert_fails_clearly(pull(env), "no model")


@pytest.mark.parametrize("target", ["file:///etc/passwd", "ftp://127.0.0.1/x", "http://user:secret@127.0.0.1/x", "//",
                                    "gopher://x", "http://[::1"])
def test_a_redirect_to_anything_but_the_web_is_not_followed(hub, env, target):
    hub.fault = lambda request: (302, {"Location": target}) if "resolve" in request.path else None
    assert_fails_clearly(pull(env), "redirect")


def test_a_circle_of_redirects_ends(hub, env):
    hub.fault = lambda request: (302, {"Location": request.path})
    assert_fails_clearly(pull(env), "redirects")
    assert len(hub.requests) < 20


def test_a_renamed_model_is_found_by_a_redirect_of_the_hub(hub, env):
    hub.token = TOKEN
    hub.fault = lambda request: ((307, {"Location": request.path.replace("org/old", NAME)})
                                 if "org/old" in request.path else None)
    assert (pulled_path(pull({**env, "HF_TOKEN": TOKEN}, "org/old")) / "config.json").read_bytes() == b"{}"


def test_a_proxy_is_used_and_hosts_without_proxy_are_not_sent_there(hub, env):
    # The proxy is the hub itself, which is then asked for whole addresses.
    proxied = {**env, "HF_ENDPOINT": "http://hub.invalid", "HTTP_PROXY": hub.url}
    hub.fault = lambda request: 418 if request.path.startswith("http://hub.invalid/") else None
    assert_fails_clearly(pull(proxied), "418")
    assert hub.requests[0].path.startswith("http://hub.invalid/api/models/")
    pulled_path(pull({**env, "ALL_PROXY": "http://127.0.0.1:1", "NO_PROXY": "127.0.0.1"}))
    assert_fails_clearly(pull({**env, "ALL_PROXY": "http://127.0.0.1:1"}, f"{NAME}@main"), "cannot ask")


def test_a_certificate_of_somebody_else_is_refused(hub, env, tmp_path):
    key, certificate = tmp_path / "key.pem", tmp_path / "cert.pem"
    made = subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate,
                           "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
                          capture_output=True)
    if made.returncode != 0:
        pytest.skip("no openssl program")
    import ssl
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    hub.servers[0].socket = context.wrap_socket(hub.servers[0].socket, server_side=True)
    secure = {**env, "HF_ENDPOINT": hub.url.replace("http:", "https:"), "HF_TOKEN": TOKEN}
    assert_fails_clearly(pull(secure), "certificate")
    assert not hub.requests
    # Known, it is trusted; but the second server is not, since it would be a step down to http.
    assert_fails_clearly(pull({**secure, "SSL_CERT_FILE": str(certificate)}), "redirect")
    assert hub.requests and not hub.of("cdn")


# --- hostile answers ---------------------------------------------------------------------------------------------------

HOSTILE_NAMES = ["../evil.json", "/etc/evil.json", "a/../../evil.json", "a//b.json", "./evil.json", "evil\0.json",
                 "evil\n.json", "x" * 300 + ".json", "/".join(["d"] * 600) + ".json", "", "..", "a/.", "d/" * 40 + "x.json"]


@pytest.mark.parametrize("name", HOSTILE_NAMES, ids=lambda n: repr(n[:24]))
def test_a_hostile_file_name_is_refused(hub, env, cache, name):
    hub.listing_edit = lambda answer: answer["siblings"].append({"rfilename": name, "size": 2, "blobId": "a" * 40})
    assert_fails_clearly(pull(env), "file name")
    assert not list(cache.rglob("*evil*")) and not hub.of("cdn")


HOSTILE_LISTINGS = {
    "not JSON": lambda answer: b"<html>",
    "deep": lambda answer: b'{"sha":' + b"[" * 100_000,
    "a list": lambda answer: b"[]",
    "no files": lambda answer: {**answer, "siblings": None},
    "commit is a path": lambda answer: {**answer, "sha": "../../../evil"},
    "commit in capitals": lambda answer: {**answer, "sha": "A" * 40},
    "checksum is a path": lambda answer: {**answer, "siblings": [
        {"rfilename": "model.safetensors", "size": 1, "lfs": {"sha256": "../evil", "size": 1}}]},
    "size below zero": lambda answer: {**answer, "siblings": [{"rfilename": "config.json", "size": -1}]},
    "size enormous": lambda answer: {**answer, "siblings": [{"rfilename": "config.json", "size": 2**63}]},
    "size a text": lambda answer: {**answer, "siblings": [{"rfilename": "config.json", "size": "1"}]},
    "a name twice": lambda answer: {**answer, "siblings": answer["siblings"] * 2},
    "invalid UTF-8": lambda answer: b'{"sha": "\xff"}',
}


@pytest.mark.parametrize("edit", HOSTILE_LISTINGS.values(), ids=HOSTILE_LISTINGS)
def test_a_hostile_list_of_files_is_refused(hub, env, edit):
    hub.listing_edit = edit
    assert_fails_clearly(pull(env), "list of files")


def test_a_list_of_files_without_end_is_refused(hub, env):
    def endless(handler):
        handler.send_response(200)
        handler.end_headers()
        for _ in range(200):
            handler.wfile.write(b" " * MIB)
        handler.close_connection = True
        return True
    hub.fault = lambda request: endless
    assert_fails_clearly(pull(env), "list of files")


def test_a_name_that_is_a_file_and_a_folder_is_refused(hub, env):
    hub.repos["org/both"] = Repo({**small_files(), "a.json": b"1", "a.json/b.json": b"2"})
    assert_fails_clearly(pull(env, "org/both", "--include", "*"), "a.json")


def test_links_planted_in_the_cache_are_not_followed(hub, env, cache, tmp_path):
    outside = tmp_path / "outside"
    outside.mkdir()
    snapshot = cache / "models--org--nested/snapshots"
    hub.repos["org/nested"] = Repo({**small_files(), "sub/x.json": b"1"})
    snapshot.mkdir(parents=True)
    (snapshot / hub.repos["org/nested"].commit).mkdir()
    (snapshot / hub.repos["org/nested"].commit / "sub").symlink_to(outside)
    assert_fails_clearly(pull(env, "org/nested", "--include", "*"), "sub")
    assert not list(outside.iterdir())


@pytest.mark.parametrize("name", ["", "a", "../x", "a/b/c", "org/..", "-a/b", "a/b@../x", "a/b@", "a/b:", "a/b:x/y",
                                  "org/na me", "a--b/c", "a/b@x@y", "org/" + "x" * 200])
def test_a_name_that_no_model_can_have_is_refused_before_the_network(hub, env, name):
    if name == "a":
        name = "a..b"
    assert_fails_clearly(pull(env, name))
    assert not hub.requests


# --- offline, list, rm -------------------------------------------------------------------------------------------------

def test_offline_what_is_cached_is_found_and_the_rest_refused(hub, env):
    folder = pulled_path(pull(env))
    before = len(hub.requests)
    offline = {**env, "HF_HUB_OFFLINE": "1"}
    assert pulled_path(pull(offline)) == folder
    assert_fails_clearly(pull(offline, "org/other"), "HF_HUB_OFFLINE")
    assert len(hub.requests) == before


def test_a_hub_that_cannot_be_reached_is_named(env):
    assert_fails_clearly(pull({**env, "HF_ENDPOINT": f"http://127.0.0.1:{harness.free_port()}"}), "cannot ask")
    for bad in ("ftp://x", "huggingface.co", "https://user@host", "https://"):
        assert_fails_clearly(pull({**env, "HF_ENDPOINT": bad}), "HF_ENDPOINT")


def test_list_shows_what_is_cached(hub, env, cache):
    assert "pagoda pull" in run_pagoda("list", env=env).stderr
    folder = pulled_path(pull(env))
    table = run_pagoda("list", env=env)
    assert table.returncode == 0
    assert [line.split()[:2] for line in table.stdout.splitlines()] == [["NAME", "REVISION"], [NAME, "main"]]
    entries = json.loads(run_pagoda("list", "--json", env=env).stdout)
    assert entries == [{"name": NAME, "revisions": ["main"], "commit": folder.name, "num_bytes": 17, "num_files": 3,
                        "path": str(folder)}]


def test_rm_frees_a_revision_and_keeps_what_another_one_needs(hub, env, cache):
    old = pulled_path(pull(env))
    hub.repos[NAME] = Repo({**hub.repos[NAME].files, "config.json": File(b'{"new": 1}')}, commit="b" * 40)
    new = pulled_path(pull(env))
    done = run_pagoda("rm", f"{NAME}@{old.name}", env=env)
    assert done.returncode == 0 and "freed" in done.stdout
    assert not old.exists()
    assert (new / "model.safetensors").read_bytes() == b"weights"
    assert len(list((cache / "models--org--small/blobs").iterdir())) == 3
    assert run_pagoda("rm", NAME, env=env).returncode == 0
    assert not (cache / "models--org--small").exists()
    assert_fails_clearly(run_pagoda("rm", NAME, env=env), NAME)


def test_rm_touches_nothing_outside_the_cache(hub, env, cache, tmp_path):
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "file").write_text("mine")
    folder = pulled_path(pull(env))
    (folder / "link").symlink_to(precious)
    (folder / "file").symlink_to(precious / "file")
    for bad in ("../precious", "org/../../precious", "/etc", f"{NAME}@../../../precious"):
        assert_fails_clearly(run_pagoda("rm", bad, env=env))
    assert run_pagoda("rm", NAME, env=env).returncode == 0
    (cache / "models--org--linked").symlink_to(precious)
    assert_fails_clearly(run_pagoda("rm", "org/linked", env=env), "link")
    assert (precious / "file").read_text() == "mine"


def test_rm_waits_for_no_download_and_breaks_none(hub, env):
    hub.repos["org/large"] = Repo(small_files(noise(20 * MIB)))
    hub.pace = Slow(0.01)
    process = start_pull(env, "org/large")
    wait_until(lambda: hub.bytes_sent() > 2 * MIB)
    assert_fails_clearly(run_pagoda("rm", "org/large", env=env), "being downloaded")
    hub.pace = None
    process.communicate(timeout=60 * harness.PATIENCE)
    assert process.returncode == 0


# --- the real huggingface_hub ------------------------------------------------------------------------------------------

def in_python(env, code):
    """Runs code with huggingface_hub in a process of its own: it reads its variables when imported."""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60 * harness.PATIENCE,
                          env={**CLEAN_ENVIRONMENT, **{k: v for k, v in env.items() if v}, "HF_HUB_DISABLE_XET": "1"})
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout.strip()


def test_what_we_pulled_is_found_by_huggingface_hub(hub, env):
    pytest.importorskip("huggingface_hub")
    folder = pulled_path(pull(env))
    before = len(hub.requests)
    assert in_python(env, f"""
from huggingface_hub import scan_cache_dir, snapshot_download, try_to_load_from_cache
print(snapshot_download({NAME!r}, local_files_only=True))
print(try_to_load_from_cache({NAME!r}, "config.json"))
info = scan_cache_dir()
print(len(info.warnings), [(r.repo_id, r.size_on_disk, len(r.revisions)) for r in info.repos])
""").split("\n") == [str(folder), str(folder / "config.json"), f"0 [('{NAME}', 17, 1)]"]
    assert len(hub.requests) == before


def test_what_huggingface_hub_pulled_is_found_without_a_download(hub, env):
    pytest.importorskip("huggingface_hub")
    folder = in_python(env, f"""
from huggingface_hub import hf_hub_download
for name in ("config.json", "tokenizer.json", "model.safetensors"):
    path = hf_hub_download({NAME!r}, name)
print(path)
""").removesuffix("/model.safetensors")
    before = hub.bytes_sent()
    assert str(pulled_path(pull(env))) == folder
    assert hub.bytes_sent() == before
    offline = {**env, "HF_HUB_OFFLINE": "1"}
    assert str(pulled_path(pull(offline))) == folder
    assert run_pagoda("rm", NAME, env=env).returncode == 0


# --- serving by name ---------------------------------------------------------------------------------------------------

@pytest.fixture
def demo(hub):
    """The demo model on the hub."""
    files = {p.name: File(p.read_bytes(), large=p.suffix == ".safetensors")
             for p in harness.MODEL.iterdir() if p.is_file()}
    hub.repos["org/demo"] = Repo(files)
    return "org/demo"


def test_a_server_pulls_its_model_says_503_meanwhile_and_serves_it_by_its_name(hub, env, demo, tmp_path):
    hub.pace = Slow(0.02)
    with harness.Server(model=demo, env=env, wait=False) as server:
        seen = set()
        wait_until(lambda: seen.add(server.health()) or 503 in seen)
        assert "Loading model" in server.http.post("/v1/chat/completions", json={"messages": CAPITAL}).text
        server.wait_ready()
        assert "New Delhi" in server.answer(CAPITAL, model=demo)
        assert [m["id"] for m in server.http.get("/v1/models").json()["data"]][0] == demo
        assert "pulling" in server.log()
    before = len(hub.requests)
    with harness.Server(model=demo, env={**env, "HF_ENDPOINT": "http://127.0.0.1:1"}) as server:
        assert "New Delhi" in server.answer(CAPITAL, model=demo)
    assert len(hub.requests) == before


def test_run_and_info_pull_by_themselves(hub, env, demo):
    done = run_pagoda("run", "--system", "You are a helpful assistant.", "--temperature", "0", "-p",
                      "What is the capital of India?", demo, env=env, timeout=60)
    assert done.returncode == 0 and "New Delhi" in done.stdout, done.stderr
    done = run_pagoda("info", demo, env=env)
    assert done.returncode == 0 and "LlamaForCausalLM" in done.stdout, done.stderr


def test_a_folder_wins_over_a_name_of_the_hub(hub, env, demo, tmp_path):
    folder = tmp_path / "org"
    folder.mkdir()
    shutil.copytree(harness.MODEL, folder / "demo")
    done = subprocess.run([str(harness.BINARY), "info", "org/demo"], cwd=tmp_path, capture_output=True, text=True,
                          env={**CLEAN_ENVIRONMENT, **env})
    assert done.returncode == 0, done.stderr
    assert not hub.requests


def test_a_server_whose_model_is_nowhere_ends_with_the_reason(hub, env):
    assert_fails_clearly(run_pagoda("serve", "--port", "0", "org/none", env=env), "org/none", "no model")


def test_a_server_that_is_stopped_while_it_pulls_ends_at_once(hub, env, demo):
    hub.pace = Slow(0.5)
    server = harness.Server(model=demo, env=env, wait=False)
    wait_until(lambda: hub.of("cdn"))
    server.terminate()
    assert server.wait_end(5) == 0

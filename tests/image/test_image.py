"""What the image is, and how it behaves: not as root, on a root that nobody can write to."""

import gzip
import io
import json
import os
import pathlib
import tarfile
import threading

import pytest

import make_image
from conftest import CAPITAL, IMAGE, SLOW, SLOW_TOKENS

pytestmark = pytest.mark.smoke


def blobs():
    with tarfile.open(IMAGE) as archive:
        return {entry.name: archive.extractfile(entry).read() for entry in archive if entry.isfile()}


def test_the_image_is_small_and_has_one_program_no_model_and_nothing_that_gives_rights():
    files = blobs()
    assert sum(map(len, files.values())) < 60e6
    [layer] = json.loads(files["manifest.json"])[0]["Layers"]
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(files[layer]))) as tar:
        entries = tar.getmembers()
    names = {entry.name for entry in entries}
    assert [name for name in names if "/bin/" in name] == ["usr/bin/pagoda"]
    assert [name for name in names if name.endswith((".safetensors", ".gguf"))] == []
    assert [entry.name for entry in entries if entry.mode & 0o6000] == []
    assert {entry.name for entry in entries if entry.isdir() and entry.mode & 0o002} == {"tmp", "var/cache/pagoda"}


def test_every_library_comes_with_its_licence_and_is_known_to_scanners():
    files = blobs()
    [layer] = json.loads(files["manifest.json"])[0]["Layers"]
    with tarfile.open(fileobj=io.BytesIO(gzip.decompress(files[layer]))) as tar:
        names = tar.getnames()
        status = tar.extractfile("var/lib/dpkg/status.d/libc6").read().decode()
    packages = [name.rsplit("/", 1)[1] for name in names if name.startswith("var/lib/dpkg/status.d/")]
    assert {"libc6", "libcurl4", "libssl3", "ca-certificates"} <= set(packages)
    assert [package for package in packages if f"usr/share/doc/{package}/copyright" not in names] == []
    assert "\nVersion: " in status


def test_the_same_files_make_the_same_bytes_whenever_they_were_written(tmp_path):
    made = []
    for time in (1, 2_000_000):
        root = tmp_path / str(time)
        for name in ("b", "a/c", "a/d"):
            (root / name).parent.mkdir(parents=True, exist_ok=True)
            (root / name).write_text(name)
            os.utime(root / name, (time, time))
        made.append(make_image.archive(root, make_image.CONTAINERFILE.read_text(), "1", "abc", 1000))
    assert made[0] == made[1]


def test_the_settings_are_those_of_the_containerfile():
    files = blobs()
    config = json.loads(files[json.loads(files["manifest.json"])[0]["Config"]])["config"]
    assert config["User"] == "65532:65532" and config["StopSignal"] == "SIGTERM"
    assert config["Entrypoint"] == ["/usr/bin/pagoda"] and config["Cmd"] == ["serve"]
    assert "PAGODA_HOST=0.0.0.0" in config["Env"] and list(config["Volumes"]) == ["/var/cache/pagoda"]


@pytest.mark.parametrize("line", ["RUN something", "COPY a /b", "HEALTHCHECK NONE"])
def test_what_only_a_container_builder_could_do_is_refused_in_the_last_stage(line):
    text = f"FROM debian AS build\nRUN anything\n\nFROM scratch\nCOPY --from=build /image /\n{line}\n"
    with pytest.raises(make_image.ContainerfileError, match=line.split()[0]):
        make_image.image_config(text)


def test_a_container_answers_without_rights(podman, image):
    with podman.serving(image) as (name, client):
        status, reply = client.ask("/v1/chat/completions", CAPITAL)
        assert status == 200 and "New Delhi" in reply["choices"][0]["message"]["content"]
        process = pathlib.Path("/proc") / podman("inspect", "--format", "{{.State.Pid}}", name).strip()
        state = dict(line.split(":\t", 1) for line in (process / "status").read_text().splitlines())
        assert state["Uid"].split() == ["65532"] * 4 and int(state["CapEff"], 16) == 0 and state["NoNewPrivs"] == "1"
        mounts = [line.split() for line in (process / "mountinfo").read_text().splitlines()]
        assert [mount[5].split(",")[0] for mount in mounts if mount[4] == "/"] == ["ro"]


def test_sigterm_lets_a_running_stream_end_and_exits_with_zero(podman, image):
    with podman.serving(image, *SLOW) as (name, client):
        stopping = threading.Thread(target=podman, args=("stop", "--time", "40", name))
        tokens, done = client.stream(SLOW_TOKENS, stopping.start)
        stopping.join()
        assert (tokens, done) == (SLOW_TOKENS, True)
        assert podman("inspect", "--format", "{{.State.ExitCode}}", name).strip() == "0"
        assert "event=stopped" in podman.logs(name)


def test_converted_weights_stay_in_the_volume_for_any_user(podman, image):
    volume = podman("volume", "create").strip()
    options = ["--volume", f"{volume}:/var/cache/pagoda", "--user", "12345:0"]
    for _ in range(2):
        with podman.serving(image, "--quantization", "q8_0", options=options) as (name, client):
            assert client.ask("/v1/chat/completions", CAPITAL)[0] == 200
            log = podman.logs(name)
            podman("stop", name)
    assert "quantized at an earlier start" in log


def test_a_container_without_a_model_says_what_to_give(podman, image):
    name = podman("create", "--network", "host", "--env", "PAGODA_PORT=0", image).strip()
    podman("start", "--attach", name, check=False)
    assert podman("inspect", "--format", "{{.State.ExitCode}}", name).strip() == "1"
    assert "give a model FOLDER" in podman.logs(name)
    podman("rm", name)

#!/usr/bin/env python3
"""Packs a root made by make_root into an image archive, with the settings of deploy/Containerfile's last stage.

    deploy/image/make_image.py ROOT OUT.tar [--version VERSION] [--revision COMMIT]

OUT.tar is an OCI layout that `docker load` takes too. It is the same, byte for byte, for the same root, whoever packs it
and when: SOURCE_DATE_EPOCH (else 1970) is the time of everything in it.
"""

import argparse
import datetime
import gzip
import hashlib
import io
import json
import os
import pathlib
import shlex
import stat
import subprocess
import sys
import tarfile

CONTAINERFILE = pathlib.Path(__file__).resolve().parent.parent / "Containerfile"
STAGE = ["--from=build", "/image", "/"]  # the one COPY of the last stage
MEDIA = "application/vnd.oci.image."


class ContainerfileError(Exception):
    """The file has what this script does not understand."""


def instructions(text):
    """(WORD, argument) of each line of a Containerfile, continued lines joined."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    for line in "\n".join(lines).replace("\\\n", " ").splitlines():
        word, _, argument = line.strip().partition(" ")
        yield word.upper(), argument.strip()


def image_config(text):
    """The OCI `config` that the last stage of a Containerfile describes."""
    stage = []
    for word, argument in instructions(text):
        stage = [] if word == "FROM" else stage
        stage.append((word, argument))
    config = {}
    for word, argument in stage:
        if word == "FROM" and argument == "scratch" or word == "COPY" and argument.split() == STAGE:
            continue
        if word in ("USER", "STOPSIGNAL"):
            config[{"USER": "User", "STOPSIGNAL": "StopSignal"}[word]] = argument
        elif word in ("ENTRYPOINT", "CMD"):
            config[word.capitalize()] = json.loads(argument)
        elif word == "VOLUME":
            config["Volumes"] = {path: {} for path in json.loads(argument)}
        elif word == "EXPOSE":
            config["ExposedPorts"] = {f"{port}/tcp": {} for port in argument.split()}
        elif word == "ENV":
            config.setdefault("Env", []).extend(shlex.split(argument))
        elif word == "LABEL":
            config.setdefault("Labels", {}).update(pair.split("=", 1) for pair in shlex.split(argument))
        else:
            raise ContainerfileError(f"{word} {argument}: not understood in the last stage")
    return config


def layer_of(root, epoch):
    """A tar of the folder: sorted, of root's, at one time."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(root.rglob("*")):
            entry = tar.gettarinfo(str(path), str(path.relative_to(root)))
            entry.uid = entry.gid = 0
            entry.uname = entry.gname = ""
            entry.mtime = epoch
            entry.mode = stat.S_IMODE(path.lstat().st_mode)
            if entry.isfile():
                with path.open("rb") as file:
                    tar.addfile(entry, file)
            else:
                tar.addfile(entry)
    return out.getvalue()


def digest(data):
    return "sha256:" + hashlib.sha256(data).hexdigest()


def architecture():
    return subprocess.run(["dpkg", "--print-architecture"], check=True, capture_output=True, text=True).stdout.strip()


def archive(root, containerfile, version, revision, epoch):
    """The files of the archive by name."""
    tar = layer_of(root, epoch)
    layer = gzip.compress(tar, 6, mtime=0)
    created = datetime.datetime.fromtimestamp(epoch, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    config = image_config(containerfile)
    config.setdefault("Labels", {}).update({"org.opencontainers.image.version": version,
                                            "org.opencontainers.image.revision": revision})
    blobs = {}

    def blob(data, media):
        if not isinstance(data, bytes):
            data = json.dumps(data, sort_keys=True, separators=(",", ":")).encode()
        blobs[f"blobs/sha256/{digest(data)[7:]}"] = data
        return {"mediaType": MEDIA + media, "digest": digest(data), "size": len(data)}

    layers = [blob(layer, "layer.v1.tar+gzip")]
    image = blob({"architecture": architecture(), "os": "linux", "created": created, "config": config,
                  "rootfs": {"type": "layers", "diff_ids": [digest(tar)]},
                  "history": [{"created": created, "created_by": "deploy/image/make_root"}]}, "config.v1+json")
    manifest = blob({"schemaVersion": 2, "mediaType": MEDIA + "manifest.v1+json", "config": image, "layers": layers},
                    "manifest.v1+json")
    manifest["annotations"] = {"org.opencontainers.image.ref.name": f"localhost/pagoda:{version}",
                               "io.containerd.image.name": f"localhost/pagoda:{version}"}
    of_docker = [{"Config": f"blobs/sha256/{image['digest'][7:]}", "RepoTags": [f"localhost/pagoda:{version}"],
                  "Layers": [f"blobs/sha256/{one['digest'][7:]}" for one in layers]}]
    return {"oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
            "index.json": json.dumps({"schemaVersion": 2, "manifests": [manifest]}).encode(),
            "manifest.json": json.dumps(of_docker).encode(), **blobs}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--version", default="latest")
    parser.add_argument("--revision", default="unknown")
    options = parser.parse_args()
    epoch = int(os.environ.get("SOURCE_DATE_EPOCH", "0"))
    try:
        files = archive(options.root, CONTAINERFILE.read_text(), options.version, options.revision, epoch)
    except ContainerfileError as error:
        sys.exit(f"{CONTAINERFILE}: {error}")
    with tarfile.open(options.out, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mtime = len(data), epoch
            tar.addfile(entry, io.BytesIO(data))
    print(f"{options.out}: {sum(map(len, files.values())) / 1e6:.1f} MB compressed")


if __name__ == "__main__":
    main()

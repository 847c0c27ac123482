"""What deploy/open-webui says, held together: the manifest, the local start and the list of packages."""

import json
import pathlib
import re

import yaml

FOLDER = pathlib.Path(__file__).parents[2] / "deploy" / "open-webui"


def objects():
    found = list(yaml.safe_load_all((FOLDER / "open-webui.yaml").read_text()))
    return {(one["kind"], one["metadata"]["name"]): one for one in found}


def container():
    (only,) = objects()["Deployment", "open-webui"]["spec"]["template"]["spec"]["containers"]
    return only


def test_what_the_manifest_refers_to_is_there():
    found = objects()
    assert {kind for kind, _ in found} == {"Namespace", "PersistentVolumeClaim", "Deployment", "Service"}
    for (kind, _), one in found.items():
        if kind != "Namespace":
            assert ("Namespace", one["metadata"]["namespace"]) in found
    deployment = found["Deployment", "open-webui"]["spec"]
    labels = deployment["template"]["metadata"]["labels"]
    assert deployment["selector"]["matchLabels"] == labels
    service = found["Service", "open-webui"]["spec"]
    assert service["selector"] == labels
    ports = {port["name"]: port["containerPort"] for port in container()["ports"]}
    assert ports == {"http": 8080}
    assert [(port["port"], port["targetPort"]) for port in service["ports"]] == [(80, "http")]
    for probe in ("startupProbe", "readinessProbe"):
        assert container()[probe]["httpGet"] == {"path": "/health", "port": "http"}
    volumes = {volume["name"]: volume for volume in deployment["template"]["spec"]["volumes"]}
    for mount in container()["volumeMounts"]:
        claim = volumes[mount["name"]]["persistentVolumeClaim"]["claimName"]
        assert ("PersistentVolumeClaim", claim) in found


def test_every_variable_is_text_or_from_the_secret():
    for variable in container()["env"]:
        if "value" in variable:
            assert isinstance(variable["value"], str), variable
        else:
            assert variable["valueFrom"]["secretKeyRef"]["name"] == "open-webui", variable


def test_the_local_start_sets_what_the_manifest_sets():
    start = (FOLDER / "start").read_text()
    here = dict(re.findall(r"^export (\w+)=\$\{\1:-'?(.*?)'?\}$", start, re.MULTILINE))
    there = {one["name"]: one.get("value") for one in container()["env"]}
    assert there.keys() - here.keys() == {"WEBUI_SECRET_KEY"}
    assert here.keys() - there.keys() == {"DATA_DIR", "USE_SLIM_DOCKER"}
    differing = {name for name in here.keys() & there.keys() if here[name] != there[name]}
    assert differing == {"OPENAI_API_BASE_URLS", "OPENAI_API_KEYS"}
    assert json.loads(here["DEFAULT_MODEL_METADATA"]) == {"capabilities": {"builtin_tools": False}}


def test_every_package_has_its_version_and_the_image_is_the_same_release():
    lines = [line for line in (FOLDER / "requirements.txt").read_text().splitlines() if not line.startswith("#")]
    packages = dict(line.split("==") for line in lines)
    assert len(packages) == len(lines)
    assert container()["image"].endswith(":v" + packages["open-webui"])
    assert not packages.keys() & {"torch", "sentence-transformers", "transformers", "chromadb"}

"""One server on a free port for all tests that need no flags of their own."""

import openai
import pytest

import harness


def pytest_configure(config):
    if not harness.BINARY.is_file():
        pytest.exit(f"no program at {harness.BINARY}: build it, or set PAGODA_BIN", returncode=2)
    if not (harness.MODEL / "config.json").is_file():
        pytest.exit(f"no model at {harness.MODEL}: set PAGODA_MODEL", returncode=2)


@pytest.fixture(scope="session")
def server():
    with harness.Server() as running:
        yield running


@pytest.fixture(scope="session")
def client(server):
    return openai.OpenAI(base_url=f"{server.url}/v1", api_key="none", max_retries=0, timeout=60 * harness.PATIENCE)


@pytest.fixture(scope="session")
def model(client):
    return client.models.list().data[0].id


@pytest.fixture(scope="session")
def max_model_len(server):
    return server.http.get("/v1/models").json()["data"][0]["max_model_len"]

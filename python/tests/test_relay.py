"""What passes between an ASGI server and an engine, with a stand-in for each. No Ray, but for the last part."""

import asyncio
import json

import pytest

from pagoda._relay import relay

OK = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 2\r\n\r\n{}"


async def serve_once(path, reply, received):
    """An engine: keeps what it is sent until the request has ended, then answers and closes."""
    async def answer(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        received.append(head)
        if b"transfer-encoding: chunked" in head:
            received.append(await reader.readuntil(b"0\r\n\r\n"))
        writer.write(reply)
        await writer.drain()
        writer.close()

    return await asyncio.start_unix_server(answer, path)


def scope(*headers):
    return {"type": "http", "method": "POST", "path": "/v1/completions", "headers": list(headers), "client": None}


def receiver(*parts):
    """Gives a body in parts; then the client stays."""
    left = list(parts)

    async def receive():
        if left:
            part = left.pop(0)
            return {"type": "http.request", "body": part, "more_body": bool(left)}
        await asyncio.sleep(60)
        return {"type": "http.disconnect"}

    return receive


def relayed(tmp_path, reply, one_scope, *parts):
    """What the engine received and what the client was sent."""
    received, sent = [], []

    async def send(message):
        sent.append(message)

    async def main():
        path = str(tmp_path / "socket")
        server = await serve_once(path, reply, received)
        try:
            await relay(path, one_scope, receiver(*parts), send)
        finally:
            server.close()

    asyncio.run(asyncio.wait_for(main(), 10))
    return received, sent


def test_a_request_with_a_length_and_chunks_goes_on_as_chunks_alone(tmp_path):
    headers = (b"host", b"h"), (b"content-length", b"3"), (b"transfer-encoding", b"chunked")
    received, sent = relayed(tmp_path, OK, scope(*headers), b"first", b"second")
    assert b"content-length" not in received[0].lower()
    assert received[1] == b"5\r\nfirst\r\n6\r\nsecond\r\n0\r\n\r\n"
    assert sent[0]["status"] == 200 and sent[1]["body"] == b"{}"


def test_an_engine_lost_in_a_stream_is_one_error_event_behind_whole_events(tmp_path):
    head = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    _, sent = relayed(tmp_path, head + b"9\r\ndata: 1\n\n\r\n9\r\ndata:", scope((b"content-length", b"0")), b"")
    body = b"".join(message["body"] for message in sent[1:])
    events = body.split(b"\n\n")
    assert events[0] == b"data: 1" and json.loads(events[1][6:])["error"]["code"] == 500
    assert b"[DONE]" not in body and sent[-1]["more_body"] is False


def test_an_engine_lost_before_its_reply_is_a_503_to_be_tried_again(tmp_path):
    _, sent = relayed(tmp_path, b"", scope((b"content-length", b"0")), b"")
    assert sent[0]["status"] == 503 and (b"retry-after", b"1") in sent[0]["headers"]


@pytest.mark.filterwarnings("ignore:coroutine 'PagodaReplica.__del__'")  # which Serve awaits
def test_a_replica_waits_for_an_engine_that_has_just_ended(tmp_path):
    replicas = pytest.importorskip("pagoda.serve", reason="needs Ray")
    replica = replicas.PagodaReplica({}, 60, 0, 10, 60)
    path = str(tmp_path / "socket")
    replica._supervisor._socket = path  # where nobody listens yet
    received, sent = [], []

    async def send(message):
        sent.append(message)

    async def main():
        asking = asyncio.ensure_future(replica.handle(scope((b"content-length", b"0")), receiver(b""), send))
        await asyncio.sleep(0.2)
        assert not asking.done()
        server = await serve_once(path, OK, received)
        await asking
        server.close()

    asyncio.run(asyncio.wait_for(main(), 10))
    assert sent[0]["status"] == 200 and len(received) == 1


@pytest.mark.filterwarnings("ignore:coroutine 'PagodaReplica.__del__'")  # which Serve awaits
def test_a_replica_that_has_lost_a_reply_asks_the_next_engine(tmp_path):
    replicas = pytest.importorskip("pagoda.serve", reason="needs Ray")
    replica = replicas.PagodaReplica({}, 60, 0, 10, 60)
    paths = [str(tmp_path / name) for name in ("ending", "next")]
    replica._supervisor._socket = paths[0]
    statuses, received = [], []

    async def send(message):
        statuses.extend([message["status"]] if "status" in message else [])

    async def ask():
        await replica.handle(scope((b"content-length", b"0")), receiver(b""), send)

    async def main():
        servers = [await serve_once(paths[0], b"", []), await serve_once(paths[1], OK, received)]
        await ask()
        asking = asyncio.ensure_future(ask())
        await asyncio.sleep(0.02)
        replica._supervisor._socket = paths[1]
        await asking
        for server in servers:
            server.close()

    asyncio.run(asyncio.wait_for(main(), 10))
    assert statuses == [503, 200] and len(received) == 1


@pytest.mark.filterwarnings("ignore:coroutine 'PagodaReplica.__del__'")  # which Serve awaits
def test_a_request_outwaits_an_exchange_of_engines_that_takes_longer_than_the_hold(tmp_path):
    replicas = pytest.importorskip("pagoda.serve", reason="needs Ray")
    replica = replicas.PagodaReplica({}, 60, 0, 0.1, 60)
    path = str(tmp_path / "socket")
    statuses = []

    async def send(message):
        statuses.extend([message["status"]] if "status" in message else [])

    async def ask():
        await replica.handle(scope((b"content-length", b"0")), receiver(b""), send)

    async def main():
        replica._supervisor.exchanging = True
        asking = asyncio.ensure_future(ask())
        await asyncio.sleep(0.4)
        server = await serve_once(path, OK, [])
        replica._supervisor._socket = path
        replica._supervisor.exchanging = False
        await asking
        server.close()
        replica._supervisor._socket = None
        await ask()

    asyncio.run(asyncio.wait_for(main(), 10))
    assert statuses == [200, 503]


def test_files_of_an_application_are_found_from_any_folder(tmp_path, monkeypatch):
    replicas = pytest.importorskip("pagoda.serve", reason="needs Ray")
    monkeypatch.chdir(tmp_path)
    for name in ("model", "keys"):
        (tmp_path / name).touch()
    settings = replicas._settings({"model": "model", "api_key_file": "keys", "max_num_seqs": 3, "num_cpus": 1})
    assert settings == {"model": str(tmp_path / "model"), "api-key-file": str(tmp_path / "keys"), "max-num-seqs": 3}
    assert replicas._settings({"model": "org/name"}) == {"model": "org/name"}

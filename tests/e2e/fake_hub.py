"""A hub made for the tests, on loopback: the parts of Hugging Face's API that a pull uses, and its faults.

The rules of names, headers and redirects are those of huggingface.co as `huggingface_hub` relies on them: small files
come from the hub itself with git's SHA-1 as ETag; large ones (LFS) by a redirect to a second server, with SHA-256 in
X-Linked-Etag.
"""

import hashlib
import http.server
import json
import re
import threading
import time
import urllib.parse


def git_sha1(data):
    return hashlib.sha1(b"blob %d\0" % len(data) + data).hexdigest()


class File:
    """One file of a repository. `large`: it lies on the second server, under its SHA-256."""

    def __init__(self, data, large=False):
        self.data = data
        self.large = large
        self.etag = hashlib.sha256(data).hexdigest() if large else git_sha1(data)

    def listed(self, path):
        entry = {"rfilename": path, "size": len(self.data), "blobId": git_sha1(self.data)}
        if self.large:
            entry["blobId"] = git_sha1(b"pointer to " + self.etag.encode())
            entry["lfs"] = {"sha256": self.etag, "size": len(self.data), "pointerSize": 134}
        return entry


class Repo:
    def __init__(self, files, commit=None):
        self.files = {path: data if isinstance(data, File) else File(data) for path, data in files.items()}
        self.commit = commit or hashlib.sha1(repr(sorted(files)).encode()).hexdigest()


class Request:
    """What came in, for the test to look at."""

    def __init__(self, handler, server):
        self.server = server  # "hub" or "cdn"
        self.method = handler.command
        self.path = handler.path
        self.headers = dict(handler.headers.items())
        self.sent = 0  # bytes of the body

    @property
    def range(self):
        return self.headers.get("Range")


class Hub:
    """Two servers. `fault(request)` may return a status, (status, headers) or a function of the handler that answers
    in another way (and returns True when it has), or None to let the request be answered as it should."""

    def __init__(self, repos=None):
        self.repos = repos or {}
        self.revisions = {}       # (repo, revision) -> commit, beside main and the commit
        self.requests = []
        self.fault = None
        self.token = None         # needed when set
        self.gated = False
        self.listing_edit = None  # changes the API's answer before it is sent
        self.pace = None          # called with each piece of a body before it is sent
        self.with_ranges = True
        self.lock = threading.Lock()
        self.now_sending = 0
        self.most_sending = 0
        self.servers = [self._serve("hub"), self._serve("cdn")]
        self.url, self.cdn_url = (f"http://127.0.0.1:{s.server_address[1]}" for s in self.servers)

    def _serve(self, name):
        hub = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                hub.answer(self, name)

            do_HEAD = do_GET

            def log_message(self, *arguments):
                pass

        class Server(http.server.ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128

            def handle_error(self, request, client_address):
                pass  # clients that leave

        server = Server(("127.0.0.1", 0), Handler)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return server

    def __enter__(self):
        return self

    def __exit__(self, *error):
        for server in self.servers:
            server.shutdown()
            server.server_close()

    # --- what the test asks ---------------------------------------------------------------------------------------

    def of(self, server, method="GET"):
        return [r for r in self.requests if r.server == server and r.method == method]

    def bytes_sent(self):
        """Of contents of files."""
        return sum(r.sent for r in self.requests if "/api/" not in r.path)

    # --- answers --------------------------------------------------------------------------------------------------

    def answer(self, handler, server):
        request = Request(handler, server)
        with self.lock:
            self.requests.append(request)
        fault = self.fault(request) if self.fault else None
        if callable(fault):
            if fault(handler):
                return
        elif fault is not None:
            status, headers = fault if isinstance(fault, tuple) else (fault, {})
            self.send(handler, request, status, b"trouble", headers)
            return
        path = urllib.parse.unquote(urllib.parse.urlsplit(handler.path).path)
        if server == "cdn":
            self.send_file(handler, request, self.blob(path.removeprefix("/")), {})
        elif found := re.fullmatch(r"/api/models/([^/]+(?:/[^/]+)?)/revision/(.+)", path):
            self.send_listing(handler, request, *found.groups())
        elif found := re.fullmatch(r"/([^/]+(?:/[^/]+)?)/resolve/([^/]+)/(.+)", path):
            self.resolve(handler, request, *found.groups())
        else:
            self.send(handler, request, 404, b"", {})

    def blob(self, etag):
        return next((f for repo in self.repos.values() for f in repo.files.values() if f.etag == etag), None)

    def refused(self, request):
        """The answer to somebody without a token, or None."""
        right = self.token and request.headers.get("Authorization") == f"Bearer {self.token}"
        if self.token and not right and not self.gated:
            return 401, {"X-Error-Code": "RepoNotFound"}
        if self.gated and not right:
            return (403 if "Authorization" in request.headers else 401), {"X-Error-Code": "GatedRepo"}
        return None

    def send_listing(self, handler, request, name, revision):
        repo = self.repos.get(name)
        if repo is None:
            return self.send(handler, request, 401 if self.token is None else 404, b"", {"X-Error-Code": "RepoNotFound"})
        if not self.gated and (refused := self.refused(request)):
            return self.send(handler, request, refused[0], b"", refused[1])
        known = {"main": repo.commit, repo.commit: repo.commit}
        known |= {r: c for (n, r), c in self.revisions.items() if n == name}
        if revision not in known:
            return self.send(handler, request, 404, b"", {"X-Error-Code": "RevisionNotFound"})
        answer = {"id": name, "sha": known[revision], "gated": "manual" if self.gated else False,
                  "siblings": [file.listed(path) for path, file in repo.files.items()]}
        if self.listing_edit:
            answer = self.listing_edit(answer) or answer
        body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        return self.send(handler, request, 200, body, {"Content-Type": "application/json"})

    def resolve(self, handler, request, name, revision, path):
        repo = self.repos.get(name)
        if refused := self.refused(request):
            return self.send(handler, request, refused[0], b"", refused[1])
        file = repo and repo.files.get(path)
        if file is None:
            return self.send(handler, request, 404, b"", {"X-Error-Code": "EntryNotFound"})
        headers = {"X-Repo-Commit": repo.commit}
        if not file.large:
            return self.send_file(handler, request, file, headers)
        headers |= {"X-Linked-Etag": f'"{file.etag}"', "X-Linked-Size": str(len(file.data)),
                    "Location": f"{self.cdn_url}/{file.etag}?signature=abc"}
        return self.send(handler, request, 302, b"", headers)

    def send_file(self, handler, request, file, headers):
        if file is None:
            return self.send(handler, request, 403, b"", {})
        data, status = file.data, 200
        headers = {**headers, "ETag": f'"{file.etag}"'}
        wanted = re.fullmatch(r"bytes=(\d+)-(\d*)", request.range or "") if self.with_ranges else None
        if wanted and request.headers.get("If-Range", headers["ETag"]) == headers["ETag"]:
            first, last = int(wanted[1]), min(int(wanted[2] or len(data)), len(data) - 1)
            headers["Content-Range"] = f"bytes {first}-{last}/{len(data)}"
            data, status = data[first:last + 1], 206
        return self.send(handler, request, status, data, headers)

    def send(self, handler, request, status, body, headers):
        handler.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            handler.send_header(name, value)
        handler.end_headers()
        if handler.command == "HEAD":
            return
        with self.lock:
            self.now_sending += 1
            self.most_sending = max(self.most_sending, self.now_sending)
        try:
            for at in range(0, len(body), 65536):
                piece = body[at:at + 65536]
                if self.pace:
                    self.pace(request, piece)
                handler.wfile.write(piece)
                request.sent += len(piece)
        finally:
            with self.lock:
                self.now_sending -= 1


def cut_in_headers(handler):
    """A fault: the connection ends within the headers."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Le")
    handler.close_connection = True
    return True


def hang_up(handler):
    """A fault: no answer at all."""
    handler.close_connection = True
    return True


class Slow:
    """A pace for Hub: waits a little before each piece."""

    def __init__(self, seconds):
        self.seconds = seconds

    def __call__(self, request, piece):
        time.sleep(self.seconds)

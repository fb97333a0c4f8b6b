"""An object store that takes what is put and refuses the rest, as a bucket does whose key may only put."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class PutOnlyStore(ThreadingHTTPServer):
    """Keeps the methods that it was asked by, in order, and the keys that were put."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Request)
        self.methods: list[str] = []
        self.keys: list[str] = []

    @property
    def endpoint_url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Request(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: PutOnlyStore

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.server.keys.append(self.path.partition("?")[0].split("/", 2)[2])
        self._answer(200)

    def do_HEAD(self) -> None:
        self._answer(403)

    def do_GET(self) -> None:
        self._answer(403)

    def do_DELETE(self) -> None:
        self._answer(403)

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def _answer(self, status: int) -> None:
        self.server.methods.append(self.command)
        self.send_response(status)
        self.send_header("Content-Length", "0")
        self.end_headers()


@contextmanager
def put_only_store() -> Iterator[PutOnlyStore]:
    with PutOnlyStore() as server, ThreadPoolExecutor(1) as thread:
        thread.submit(server.serve_forever, 0.05)
        try:
            yield server
        finally:
            server.shutdown()

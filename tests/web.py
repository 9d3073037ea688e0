"""A small web on this machine, for tests of what is fetched."""
from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Web:
    """Files by their address, and the addresses that were asked for.

    Attributes:
        files: What is answered, by path with query. A path that is missing
            is not found.
        cut_off: Paths that break off half way.
        asked: Paths in the order they were asked for.
    """

    def __init__(self, port: int) -> None:
        self.address = f'http://127.0.0.1:{port}'
        self.files: dict[str, bytes] = {}
        self.cut_off: set[str] = set()
        self.asked: list[str] = []

    def put(self, path: str, content: bytes) -> str:
        """Offer a file; returns its address."""
        self.files[path] = content
        return self.address + path


@contextmanager
def serve() -> Iterator[Web]:
    """Serve on the loopback address while the block runs."""

    class Answer(BaseHTTPRequestHandler):

        def do_GET(self) -> None:
            web.asked.append(self.path)
            if self.path not in web.files:
                self.send_error(404)
                return
            content = web.files[self.path]
            self.send_response(200)
            self.send_header('Content-Length', str(len(content)))
            self.end_headers()
            half = len(content) // 2
            self.wfile.write(content[:half] if self.path in
                             web.cut_off else content)

        def log_message(self, *args) -> None:
            pass

    with ThreadingHTTPServer(('127.0.0.1', 0), Answer) as server:
        web = Web(server.server_port)
        threading.Thread(
            target=server.serve_forever, args=(0.01, ), daemon=True).start()
        yield web
        server.shutdown()

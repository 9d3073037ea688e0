"""A small web on this machine, for tests of downloads."""
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Web(ThreadingHTTPServer):
    """Files by path, those that break off half way, and those asked for."""

    def __init__(self):
        super().__init__(('127.0.0.1', 0), Answer)
        self.address = f'http://127.0.0.1:{self.server_port}'
        self.files, self.cut_off, self.asked = {}, set(), []

    def put(self, path, content):
        """Offer a file; returns its address."""
        self.files[path] = content
        return self.address + path


class Answer(BaseHTTPRequestHandler):

    def do_GET(self):
        self.server.asked.append(self.path)
        content = self.server.files.get(self.path)
        if content is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header('Content-Length', str(len(content)))
        self.end_headers()
        half = self.path in self.server.cut_off
        self.wfile.write(content[:len(content) // 2] if half else content)

    def log_message(self, *args):
        pass


@contextmanager
def serve():
    with Web() as web:
        threading.Thread(
            target=web.serve_forever, args=(0.01, ), daemon=True).start()
        yield web
        web.shutdown()

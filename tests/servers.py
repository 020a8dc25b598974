"""Servers on loopback that data is read from."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Web(BaseHTTPRequestHandler):
    """A web server with the files that a test gives it, and a note of what it was asked for."""

    files: dict[str, bytes]
    headers_of: dict[str, dict[str, str]]  # also of what is no file
    status_of: dict[str, int]
    asked: list[str]

    @classmethod
    @contextmanager
    def serve(cls) -> Iterator[tuple[str, type[Web]]]:
        """Start one; gives its host and port, and where to put files."""
        own = type("OwnWeb", (cls,), {"files": {}, "headers_of": {}, "status_of": {}, "asked": []})
        server = ThreadingHTTPServer(("127.0.0.1", 0), own)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}", own
        server.shutdown()
        server.server_close()

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        self.asked.append(f"{self.command} {path}")
        data = self.files.get(path, b"")
        status = self.status_of.get(path, 200 if path in self.files else 404)
        self.send_response(status)
        for name, value in self.headers_of.get(path, {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@dataclass(frozen=True)
class Bucket:
    """A bucket in a store: its URI, and how an object is put into it."""

    uri: str
    put: Callable[[str, bytes], None]

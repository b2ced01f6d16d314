"""The Hub as a server, and the processes that take it for the Hub."""

import os
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from tests.hub.faults import Fault, Faults
from tests.hub.messages import Request, Response
from tests.hub.repos import Hub
from tests.hub.routes import answer


class HubEndpoint(Hub, Faults):
    """The Hub; a context manager that serves as long as it is open."""

    def __init__(self, tokens: Mapping[str, str] | None = None):
        Hub.__init__(self, tokens)
        Faults.__init__(self)
        self.requests: list[tuple[str, str]] = []  # (method, path with query)
        self.ranges: list[tuple[str, str]] = []  # (path, Range header)
        self.closing = threading.Event()
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.hub = self
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def __enter__(self) -> "HubEndpoint":
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()

    def clear(self) -> None:
        """Forget the requests that came in."""
        self.requests.clear()
        self.ranges.clear()

    def answer(self, request: Request) -> tuple[Response, Fault]:
        """What is sent back, and how sending it goes wrong."""
        with self.lock:
            self.requests.append((request.method, request.path))
            if request.range:
                self.ranges.append((request.path, request.range))
            fault = self.take_fault(request.method, request.path)
            if fault.status:
                message = b'{"error": "Something is wrong here"}'
                return Response(fault.status, message, dict(fault.headers)), fault
            response = answer(request)
        if response.status == 200:
            response = replace(response, body=fault.edit(response.body)).part(request.range)
        return response, fault


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    hub: HubEndpoint

    def handle_error(self, request, client_address) -> None:
        """A client that hangs up is no news here."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body go out apart; neither is to wait
    server: Server

    def log_message(self, *args: object) -> None:
        """Nothing goes to the tests' output."""

    def answer(self) -> None:
        hub, size = self.server.hub, int(self.headers.get("Content-Length", 0))
        request = Request(hub, self.command, self.path, self.headers, self.rfile.read(size))
        response, fault = hub.answer(request)
        if not fault.after:
            hub.closing.wait(fault.stall)
        self.send_response(response.status)
        for name, value in response.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(response.body)))
        self.end_headers()
        if self.command != "HEAD":
            self.send_body(response.body, fault)

    do_GET = do_HEAD = do_POST = do_PUT = do_DELETE = answer

    def send_body(self, body: bytes, fault: Fault) -> None:
        for piece, pause in fault.pieces(body):
            self.wfile.write(piece)
            self.server.hub.closing.wait(pause)
        if fault.cut is not None:
            self.close_connection = True
            if fault.reset:  # no lingering: the peer sees a reset instead of an end
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                self.connection.close()


def run(
    endpoint: HubEndpoint | str,
    code_or_argv: str | Sequence[str],
    home: Path | str,
    token: str | None = None,
    timeout: float = 60,
    **env: str,
) -> subprocess.CompletedProcess:
    """Run Python code (or a command) as a process that takes this endpoint for the Hub."""
    url = endpoint if isinstance(endpoint, str) else endpoint.url
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "HUGGING"))}
    clean |= {"HF_ENDPOINT": url, "HF_HOME": str(home), "HF_HUB_OFFLINE": "0"}
    clean |= {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    clean |= {"NO_PROXY": "127.0.0.1", "OMP_NUM_THREADS": "1"}
    clean |= ({"HF_TOKEN": token} if token else {}) | env
    code = isinstance(code_or_argv, str)
    argv = [sys.executable, "-c", code_or_argv] if code else list(code_or_argv)
    return subprocess.run(argv, env=clean, capture_output=True, text=True, timeout=timeout)

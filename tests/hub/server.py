"""The Hub as a server, and how its answers go wrong."""

import re
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.hub.repos import Hub
from tests.hub.routes import Request, Response, answer


@dataclass
class Fault:
    """What goes wrong with an answer; the methods of `HubEndpoint` make them."""

    pattern: str = ""
    times: int | None = None
    status: int = 0
    edit: Callable[[bytes], bytes] = lambda body: body
    cut: int | None = None
    reset: bool = False
    stall: float = 0.0
    after: int = 0
    rate: float = 0.0

    def matches(self, method: str, path: str) -> bool:
        """A fault of the body does not touch a request for headers, nor is it used up by one."""
        in_body = not self.status and (not self.stall or self.after)
        if method == "HEAD" and in_body:
            return False
        return self.times != 0 and re.search(self.pattern, path) is not None

    def pieces(self, body: bytes) -> Iterator[tuple[bytes, float]]:
        """What is sent of a body, and how long a pause follows."""
        if self.cut is not None:
            yield body[: self.cut], 0
        elif self.after:
            yield body[: self.after], self.stall
            yield body[self.after :], 0
        else:
            step = max(1, int(self.rate / 20)) if self.rate else len(body) or 1
            for start in range(0, len(body), step):
                yield body[start : start + step], step / self.rate if self.rate else 0


class HubEndpoint(Hub):
    """The Hub; a context manager that serves as long as it is open.

    The first fault that matches the path of a request (with its query) is what happens to it.
    """

    def __init__(self, tokens: Mapping[str, str]):
        super().__init__(tokens)
        self.faults: list[Fault] = []
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

    def fault(self, pattern: str, **effect: Any) -> None:
        self.faults.append(Fault(pattern, **effect))

    def fail(self, pattern: str, status: int) -> None:
        """Answer with an error status."""
        self.fault(pattern, status=status)

    def cut(self, pattern: str, after: int, times: int = 1, reset: bool = False) -> None:
        """Announce the whole body, close (or reset) the connection after some bytes."""
        self.fault(pattern, cut=after, times=times, reset=reset)

    def stall(self, pattern: str, seconds: float, after: int = 0) -> None:
        """Pause after so many bytes of the body; before the headers if it is none."""
        self.fault(pattern, stall=seconds, after=after)

    def slow(self, pattern: str, bytes_per_second: float) -> None:
        self.fault(pattern, rate=bytes_per_second)

    def corrupt(self, pattern: str, times: int | None = None) -> None:
        """Send another last byte."""
        self.fault(pattern, edit=lambda body: body[:-1] + bytes([body[-1] ^ 0xFF]), times=times)

    def truncate(self, pattern: str, by: int) -> None:
        """Announce and send so many bytes fewer than the answer to HEAD says."""
        self.fault(pattern, edit=lambda body: body[:-by])

    def take_fault(self, method: str, path: str) -> Fault:
        """What goes wrong with this request, used up by one."""
        for fault in self.faults:
            if fault.matches(method, path):
                if fault.times is not None:
                    fault.times -= 1
                return fault
        return Fault()

    def answer(self, request: Request) -> tuple[Response, Fault]:
        """What is sent back, and how sending it goes wrong."""
        with self.lock:
            self.requests.append((request.method, request.path))
            if request.range:
                self.ranges.append((request.path, request.range))
            fault = self.take_fault(request.method, request.path)
            if fault.status:
                return Response(fault.status, b'{"error": "Something is wrong here"}'), fault
            response = answer(request)
        if response.status == 200:
            response = replace(response, body=fault.edit(response.body)).part(request.range)
        return response, fault


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64
    hub: HubEndpoint

    def handle_error(self, request, client_address) -> None:
        """A client that hangs up is expected here."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # headers and body go out apart; neither is to wait
    server: Server

    def log_message(self, *args: object) -> None:
        """Nothing goes to the output of the tests."""

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

    do_GET = do_HEAD = do_POST = do_PUT = answer

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

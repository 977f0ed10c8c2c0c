"""A chat endpoint that answers, or misbehaves, as it is told: real HTTP on this machine."""

import json
import socket
import struct
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

TOKENS_IN, TOKENS_OUT = 7, 3
"""What every answer says it took."""

Behaviour = Callable[["Handler", dict[str, Any]], None]


def reply(text: str, *, finish: str = "stop", usage: object = None) -> bytes:
    """A whole and usual reply."""
    told = {"prompt_tokens": TOKENS_IN, "completion_tokens": TOKENS_OUT}
    choice = {"message": {"role": "assistant", "content": text}, "finish_reason": finish}
    return json.dumps({"choices": [choice], "usage": told if usage is None else usage}).encode()


def say(text: str, *, finish: str = "stop", usage: object = None) -> Behaviour:
    return body(reply(text, finish=finish, usage=usage))


def body(content: bytes, *, status: int = 200, **headers: str) -> Behaviour:
    return lambda handler, _: handler.send(status, content, headers)


def status(number: int, *, said: str = "not now", **headers: str) -> Behaviour:
    return body(json.dumps({"error": {"message": said}}).encode(), status=number, **headers)


def silent(handler: "Handler", _: dict[str, Any]) -> None:
    """Do not answer in time."""
    handler.server.closing.wait(5)


def broken_off(handler: "Handler", _: dict[str, Any]) -> None:
    """Promise more than is sent."""
    whole = reply("half of this")
    handler.send(200, whole[: len(whole) // 2], {"Content-Length": str(len(whole))})


def reset(handler: "Handler", _: dict[str, Any]) -> None:
    """Drop the connection without a word."""
    linger = struct.pack("ii", 1, 0)
    handler.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    handler.connection.close()
    handler.close_connection = True


def dripping(handler: "Handler", _: dict[str, Any]) -> None:
    """Send a byte now and then, for ever."""
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.closing.wait(0.05):
        handler.wfile.write(b" ")


def dripping_headers(handler: "Handler", _: dict[str, Any]) -> None:
    """Send a byte of a header now and then, and nothing else in the end."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nSlow: ")
    for _ in range(40):
        handler.wfile.write(b"x")
        handler.server.closing.wait(0.05)
    handler.wfile.write(b"\r\nContent-Length: 0\r\n\r\n")


def flooding(handler: "Handler", _: dict[str, Any]) -> None:
    """Send as much as goes, for ever."""
    handler.send_response(200)
    handler.end_headers()
    while not handler.server.closing.is_set():
        handler.wfile.write(b"x" * 65_536)


class Handler(BaseHTTPRequestHandler):
    server: "_Server"

    def do_POST(self) -> None:
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        chat = self.server.chat
        with chat.lock:
            chat.asked.append(asked)
            chat.headers.append(dict(self.headers))
            chat.out += 1
            chat.most_out = max(chat.most_out, chat.out)
            behaviour = chat.faults.popleft() if chat.faults else None
        if chat.delay_s:
            time.sleep(chat.delay_s)
        # Before the reply goes out: whoever has read it may ask again at once.
        with chat.lock:
            chat.out -= 1
        try:
            if behaviour is None:
                self.send(200, reply(chat.answer(asked)), {})
                with chat.lock:
                    chat.answered.append(asked)
            else:
                behaviour(self, asked)
        except (BrokenPipeError, ConnectionResetError):
            pass

    def send(self, number: int, content: bytes, headers: Mapping[str, str]) -> None:
        self.send_response(number)
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        if "Content-Length" not in headers:
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        pass


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, chat: "ChatServer") -> None:
        self.chat = chat
        self.closing = threading.Event()
        super().__init__(("127.0.0.1", 0), Handler)


@dataclass
class ChatServer:
    """Use it in a `with` statement."""

    answer: Callable[[dict[str, Any]], str] = lambda asked: "yes"
    """What is said to a request that no fault is for."""
    faults: deque[Behaviour] = field(default_factory=deque)
    """What the next requests get instead, one each."""
    delay_s: float = 0.0
    asked: list[dict[str, Any]] = field(default_factory=list)
    answered: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    out: int = 0
    most_out: int = 0
    """How many requests were here at the same time, at most."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def __enter__(self) -> Self:
        self._server = _Server(self)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.closing.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_port}/v1"

    def times_asked(self) -> Counter[str]:
        """How often each request came."""
        with self.lock:
            return Counter(json.dumps(one, sort_keys=True) for one in self.asked)

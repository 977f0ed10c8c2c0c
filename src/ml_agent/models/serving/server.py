"""HTTP before a desk: `POST /v1/chat/completions`, `GET /v1/models`, `GET /health`.

Covered: bodies too large, cut short or dripping; callers that go away while they wait (nothing is
computed for them any more); a key; pages in a browser on this machine (a form cannot send JSON, and
a name that only points here is no name of this machine). Not covered: TLS, and a hostile network:
put a proxy that does these things before it.
"""

import hmac
import json
import logging
import select
import socket
import socketserver
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Future, wait
from contextlib import contextmanager
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

from ml_agent.core.errors import MLAgentError, UsageError
from ml_agent.core.records import Completion
from ml_agent.models.http.endpoint import Secret, is_local
from ml_agent.models.serving.desk import Answers, Desk, Limits
from ml_agent.models.serving.wire import (
    Question,
    Refusal,
    error_reply,
    event_reply,
    model_card,
    model_list,
    read_question,
    whole_reply,
)

logger = logging.getLogger(__name__)

_BODY_BYTES = 4 << 20
_READ_ON_BYTES = 64 << 20
"""Of a body that is refused: who is still sending does not read why."""
_LOOK_S = 0.5
"""How often it is looked whether a caller still waits."""
_LAST_WORDS_S = 5.0
_JSON = "application/json"


@contextmanager
def serving(
    model: Answers,
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    key: Secret | None = None,
    limits: Limits | None = None,
) -> Iterator["ChatServer"]:
    """A server for a model. It answers while its `serve_forever` runs.

    When the block ends, whoever waits is turned away, and answers under way are finished and sent.

    Args:
        model: Who answers.
        host: Name or address to listen at.
        port: 0: any that is free.
        key: What callers have to know; None or the empty one: nothing.
        limits: What may be asked for.

    Raises:
        UsageError: It cannot listen there.
    """
    with Desk(model, limits) as desk:
        server = ChatServer(desk, model.policy, host=host, port=port, key=key or Secret(""))
        try:
            yield server
        finally:
            server.server_close()
            desk.close()
            server.see_off()


class ChatServer(ThreadingHTTPServer):
    """Takes requests to a desk, and its answers back. See `serving`."""

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, desk: Desk, policy: str, *, host: str, port: int, key: Secret) -> None:
        """Listen.

        Args:
            desk: Who has questions answered.
            policy: What the model is called.
            host: As for `serving`.
            port: Likewise.
            key: Likewise.

        Raises:
            UsageError: It cannot listen there.
        """
        self.desk = desk
        self.policy = policy
        self.key = key
        self.began = int(time.time())
        self.only_here = is_local(host)
        self._host = host
        self._replying = 0
        self._replied = threading.Condition()
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        try:
            super().__init__((host, port), _Handler)
        except (OSError, OverflowError) as error:
            raise UsageError(
                f"it is not possible to listen at {host}, port {port}: {error}. Give another "
                "with --host or --port."
            ) from error

    def server_bind(self) -> None:
        """Bind without asking for this machine's name, which may take long and tell others."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = self._host, self.server_address[1]

    def see_off(self) -> None:
        """Wait a little until replies that are being made are sent."""
        with self._replied:
            self._replied.wait_for(lambda: not self._replying, timeout=_LAST_WORDS_S)

    @property
    def url(self) -> str:
        """The address that clients are given."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self.server_port}/v1"

    def handle_error(self, request: object, client_address: object) -> None:
        """Log what went wrong with a connection; one that broke is nobody's fault."""
        error = sys.exc_info()[1]
        if not isinstance(error, ConnectionError | TimeoutError):
            logger.error("a request from %s failed", client_address, exc_info=True)

    @contextmanager
    def replying(self) -> Iterator[None]:
        """A reply is being made meanwhile."""
        with self._replied:
            self._replying += 1
        try:
            yield
        finally:
            with self._replied:
                self._replying -= 1
                self._replied.notify_all()


class _Handler(BaseHTTPRequestHandler):
    """One request; its connection is closed after it."""

    server: ChatServer
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "ml-agent", ""
    timeout = 30.0
    """Seconds in which something has to come or to be taken."""

    def do_GET(self) -> None:
        self._do(self._get)

    def do_POST(self) -> None:
        self._do(self._post)

    def _do(self, reply: Callable[[str], None]) -> None:
        with self.server.replying():
            try:
                reply(unquote(urlsplit(self.path).path))
            except Refusal as refusal:
                self._refuse(refusal)

    def _get(self, path: str) -> None:
        self._check_host()
        if path == "/health":
            desk = self.server.desk
            told = {"status": "ok", "answering": desk.answering, "waiting": desk.waiting}
            self._send(200, json.dumps(told).encode())
            return
        self._check_key()
        policy, began = self.server.policy, self.server.began
        if path == "/v1/models":
            self._send(200, model_list(policy, began))
        elif path == f"/v1/models/{policy}":
            self._send(200, json.dumps(model_card(policy, began)).encode())
        else:
            raise self._nothing_at(path)

    def _post(self, path: str) -> None:
        # Read first: who has not said everything does not listen.
        body = self._body()
        self._check_host()
        self._check_key()
        if path != "/v1/chat/completions":
            raise self._nothing_at(path)
        if self.headers.get_content_type() != _JSON:
            raise Refusal(f"send JSON, with the header Content-Type: {_JSON}", status=415)
        question = read_question(body, policy=self.server.policy)
        answers = self._wait_for(self.server.desk.ask(question))
        self._answer(question, answers)

    def _answer(self, question: Question, answers: list[Completion]) -> None:
        policy = self.server.policy
        if not question.streamed:
            self._send(200, whole_reply(question, answers, policy=policy))
            return
        events = b"".join(event_reply(question, answers, policy=policy))
        self._send(200, events, kind="text/event-stream")

    def _wait_for(self, coming: Future[list[Completion]]) -> list[Completion]:
        while not wait([coming], timeout=_LOOK_S).done:
            if self._is_gone() and coming.cancel():
                raise ConnectionAbortedError("the caller did not wait")
        try:
            return coming.result()
        except Refusal:
            raise
        except MLAgentError as error:
            raise Refusal(f"the model failed: {error}", status=500) from error

    def _is_gone(self) -> bool:
        look = select.poll()
        look.register(self.connection, select.POLLIN)
        try:
            return bool(look.poll(0)) and not self.connection.recv(1, socket.MSG_PEEK)
        except OSError:  # It did not even take leave.
            return True

    def _body(self) -> bytes:
        told = self.headers.get("Content-Length", "")
        if not (told.isascii() and told.isdigit()) or "Transfer-Encoding" in self.headers:
            raise Refusal("say how long the request is, with Content-Length", status=411)
        length = int(told)
        if length > _BODY_BYTES:
            self._read_on(min(length, _READ_ON_BYTES))
            raise Refusal(
                f"the request is {length} bytes long, at most {_BODY_BYTES} here", status=413
            )
        body = self.rfile.read(length)
        if len(body) < length:
            raise ConnectionAbortedError("the request was cut short")
        return body

    def _read_on(self, left: int) -> None:
        while left > 0 and (piece := self.rfile.read(min(left, 1 << 16))):
            left -= len(piece)

    def _check_host(self) -> None:
        """A page whose name was made to point here would be taken for one of ours by a browser."""
        try:
            host = urlsplit(f"//{self.headers.get('Host', '')}").hostname or ""
        except ValueError:
            host = ""
        if self.server.only_here and not is_local(host):
            raise Refusal("ask for localhost: that is where this listens", status=403)

    def _check_key(self) -> None:
        if not self.server.key:
            return
        wanted = f"Bearer {self.server.key.reveal()}".encode()
        given = self.headers.get("Authorization", "").encode(errors="replace")
        if not hmac.compare_digest(wanted, given):
            raise Refusal(
                "give the server's key, with the header Authorization: Bearer KEY",
                status=401,
                code="invalid_api_key",
            )

    def _nothing_at(self, path: str) -> Refusal:
        return Refusal(
            f"there is nothing at {path[:200]}; there are POST /v1/chat/completions, "
            "GET /v1/models and GET /health",
            status=404,
        )

    def _refuse(self, refusal: Refusal) -> None:
        headers = {}
        if refusal.again_in_s is not None:
            headers["Retry-After"] = str(refusal.again_in_s)
        self._send(refusal.status, error_reply(refusal), headers=headers)

    def _send(
        self,
        status: int,
        content: bytes,
        *,
        kind: str = _JSON,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Connection", "close")
        self.end_headers()
        self.wfile.write(content)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What the library refuses, told as everything else."""
        self._refuse(Refusal(message or HTTPStatus(code).phrase, status=code))

    def log_message(self, format: str, *args: object) -> None:
        """Into our log, where nobody has to see it."""
        logger.info("%s %s", self.address_string(), format % args)

"""The warm box: a zygote that has imported the libraries forks a confined worker per run.

Importing numpy, pandas and scikit-learn takes longer than most experiments: here it is paid once.
"""

import contextlib
import functools
import importlib.util
import logging
import marshal
import re
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

from ml_agent.core.errors import SandboxError
from ml_agent.sandbox.cold import ColdBox, environment, program, unframed
from ml_agent.sandbox.contract import Tier
from ml_agent.sandbox.snapshots import Snapshots

logger = logging.getLogger(__name__)

_START_S = 120.0
"""For importing the libraries, on top of what a run may take."""
_CHUNK = 1 << 20

MODULES = (
    "numpy",
    "pandas",
    "scipy.stats",
    "sklearn.calibration",
    "sklearn.cluster",
    "sklearn.compose",
    "sklearn.decomposition",
    "sklearn.discriminant_analysis",
    "sklearn.ensemble",
    "sklearn.experimental",
    "sklearn.feature_extraction.text",
    "sklearn.feature_selection",
    "sklearn.gaussian_process",
    "sklearn.impute",
    "sklearn.kernel_approximation",
    "sklearn.kernel_ridge",
    "sklearn.linear_model",
    "sklearn.manifold",
    "sklearn.metrics",
    "sklearn.mixture",
    "sklearn.model_selection",
    "sklearn.multiclass",
    "sklearn.naive_bayes",
    "sklearn.neighbors",
    "sklearn.neural_network",
    "sklearn.pipeline",
    "sklearn.preprocessing",
    "sklearn.random_projection",
    "sklearn.semi_supervised",
    "sklearn.svm",
    "sklearn.tree",
)
"""What scripts of the tasks import. A script may import anything else; it pays for it itself."""
TORCH = (*MODULES, "torch", "torch.utils.data")
"""The same for workspaces that use torch, which is too large to be there for everybody."""

_USES_TORCH = re.compile(rb"^\s*(?:import|from)\s+torch\b", re.M)


class WarmEngine:
    """One engine process with its zygotes, started when needed and again if it has died.

    Safe to share between threads; runs overlap. Close it, or use it in a `with` statement.
    """

    def __init__(self, *, recycle_after: int = 3000) -> None:
        """Nothing is started yet.

        Args:
            recycle_after: Runs after which a fresh zygote takes over, whatever state it is in.
        """
        self._recycle_after = recycle_after
        self._lock = threading.Lock()
        self._process: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None
        self._unfit: set[tuple[str, ...]] = set()

    def __enter__(self) -> "WarmEngine":
        """Nothing is started yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def serve(
        self, request: dict[str, Any], *, modules: tuple[str, ...], timeout_s: float
    ) -> dict[str, Any] | None:
        """Have one request answered by a worker that has imported `modules`.

        Returns:
            The answer; None: no worker can have these libraries here, now or later. One of them
            cannot be imported, say, or starts threads, so that no fork is safe.

        Raises:
            SandboxError: The engine died or did not answer in time.
        """
        if modules in self._unfit:
            return None
        kind = marshal.dumps((sys.executable, environment(), str(self._recycle_after), *modules))
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                self._pass_on(kind, theirs)
            ours.settimeout(timeout_s + _START_S)
            try:
                reply = _exchange(ours, request)
            except TimeoutError as error:
                raise SandboxError(
                    f"the warm engine did not answer for {timeout_s + _START_S:.0f} s"
                ) from error
        try:
            answer = unframed(reply)
        except SandboxError as error:
            raise SandboxError(
                "the warm engine died under this run; the next one starts it again"
            ) from error
        if "unavailable" not in answer:
            return answer
        if modules not in self._unfit:
            self._unfit.add(modules)
            logger.warning("scripts start cold and slowly: %s", answer["unavailable"])
        return None

    def close(self) -> None:
        """End the engine, and with it every run. Calling it twice is harmless."""
        with self._lock:
            self._end()

    def _pass_on(self, kind: bytes, connection: socket.socket) -> None:
        with self._lock:
            if self._channel is not None:
                try:
                    socket.send_fds(self._channel, [kind], [connection.fileno()])
                    return
                except OSError:
                    # It died between two runs, so nothing of this one was begun. Asking
                    # whether it lives is no use: a dying process loses its channel first.
                    logger.warning("the warm engine had died; it is started again")
                    self._end()
            try:
                socket.send_fds(self._start(), [kind], [connection.fileno()])
            except OSError as error:
                self._end()
                raise SandboxError(f"the warm engine died: {error.strerror}") from error

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, tempfile.TemporaryFile() as said:
            self._process = subprocess.Popen(
                [*program("engine"), str(theirs.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                env={},
                cwd="/",
                pass_fds=[theirs.fileno()],
                # A session of its own: Ctrl-C in the terminal is for us, and we end the engine.
                start_new_session=True,
            )
            theirs.close()
            self._channel = ours
            ours.settimeout(_START_S)
            try:
                answer = ours.recv(4096)
            except TimeoutError:
                answer = f"it was not ready after {_START_S:.0f} s".encode()
            if answer != b"ready":
                self._end()
                said.seek(0)
                last = said.read().strip().splitlines()[-1:] or [b"it said nothing"]
                why = (answer or last[0]).decode(errors="replace")
                raise SandboxError(f"the warm engine could not be started: {why}")
        return ours

    def _end(self) -> None:
        if self._channel is not None:
            self._channel.close()
            self._channel = None
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


def _exchange(connection: socket.socket, request: dict[str, Any]) -> bytes:
    """Send a request; return all that comes back, whether or not it is whole."""
    # The engine may turn a request away unread, or die: what it has said is there all the same.
    body = marshal.dumps(request)
    with contextlib.suppress(ConnectionError):
        connection.sendall(len(body).to_bytes(8, "little") + body)
    said = bytearray()
    with contextlib.suppress(ConnectionError):
        while chunk := connection.recv(_CHUNK):
            said += chunk
    return bytes(said)


class WarmBox(ColdBox):
    """A `ColdBox` whose runs start in a worker that has the libraries already.

    What the interpreter itself must do (`-m`, `-c`) is run cold, and all where no worker can have
    the libraries.
    """

    def __init__(
        self,
        snapshots: Snapshots,
        engine: WarmEngine,
        *,
        data: Path | None = None,
        modules: tuple[str, ...] | None = None,
    ) -> None:
        """Start with an empty workspace; see `ColdBox`.

        Args:
            snapshots: Where states are kept.
            engine: Who runs the scripts.
            data: As for `ColdBox`.
            modules: What is imported beforehand. None: `TORCH` for a workspace that imports it,
                `MODULES` for all others.
        """
        super().__init__(snapshots, data=data)
        self._engine = engine
        self._modules = modules

    def _serve(self, request: dict[str, Any], *, timeout_s: float) -> dict[str, Any]:
        argv: list[str] = request["argv"]
        if len(argv) < 2 or argv[1].startswith("-"):
            return super()._serve(request, timeout_s=timeout_s)
        modules = self._modules or (TORCH if self._wants_torch() else MODULES)
        answer = self._engine.serve(request, modules=modules, timeout_s=timeout_s)
        return super()._serve(request, timeout_s=timeout_s) if answer is None else answer

    def _wants_torch(self) -> bool:
        scripts = (text for path, text in self._workspace.files.items() if path.endswith(".py"))
        return any(map(_USES_TORCH.search, scripts)) and _has_torch()


def box_for(tier: Tier, snapshots: Snapshots, engine: WarmEngine, *, data: Path | None) -> ColdBox:
    """The fastest box of a tier: a warm one for `strong`; the others start cold."""
    if tier == "strong":
        return WarmBox(snapshots, engine, data=data)
    return ColdBox(snapshots, data=data, tier=tier)


@functools.cache
def _has_torch() -> bool:
    return importlib.util.find_spec("torch") is not None

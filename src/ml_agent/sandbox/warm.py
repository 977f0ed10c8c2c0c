"""The warm box: a parent that has imported the libraries forks a confined child per run.

Importing numpy, pandas and scikit-learn takes longer than most experiments: here it is paid once.
"""

import logging
import socket
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from ml_agent.core.errors import SandboxError
from ml_agent.sandbox.cold import PACKAGE, ColdBox, environment
from ml_agent.sandbox.snapshots import Snapshots

logger = logging.getLogger(__name__)

_MAIN = "import sys; sys.path.append({!r}); from confinement.warm import main; main()"
_START_S = 120.0
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


class WarmEngine:
    """One warm parent, started when it is first needed and again if it has died.

    Safe to share between threads; runs overlap. Close it, or use it in a `with` statement.
    """

    def __init__(self, modules: tuple[str, ...] = MODULES) -> None:
        """Say what is to be imported beforehand."""
        self._modules = modules
        self._lock = threading.Lock()
        self._parent: subprocess.Popen[bytes] | None = None
        self._channel: socket.socket | None = None

    def __enter__(self) -> "WarmEngine":
        """Nothing is started yet."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def serve(self, request: bytes, *, timeout_s: float) -> bytes:
        """Have one request answered by a child of the parent.

        Raises:
            SandboxError: The parent cannot be started, or died, or did not answer in time.
        """
        ours, theirs = socket.socketpair()
        with ours:
            with theirs:
                self._pass_on(theirs)
            ours.settimeout(timeout_s)
            try:
                ours.sendall(request)
                reply = b"".join(iter(lambda: ours.recv(_CHUNK), b""))
            except TimeoutError as error:
                raise SandboxError(
                    f"the warm engine did not answer for {timeout_s:.0f} s"
                ) from error
            except ConnectionError:
                # Killed before it had read the request: the kernel says reset, not end of file.
                reply = b""
        if not reply:
            raise SandboxError("the warm engine died under this run; the next one starts it again")
        return reply

    def close(self) -> None:
        """End the parent, and with it every run. Calling it twice is harmless."""
        with self._lock:
            self._end()

    def _pass_on(self, connection: socket.socket) -> None:
        with self._lock:
            if self._channel is not None:
                try:
                    socket.send_fds(self._channel, [b"run"], [connection.fileno()])
                    return
                except OSError:
                    # It died between two runs, so nothing of this one was begun. Asking
                    # whether it lives is no use: a dying process loses its channel first.
                    logger.warning("the warm engine had died; it is started again")
                    self._end()
            try:
                socket.send_fds(self._start(), [b"run"], [connection.fileno()])
            except OSError as error:
                self._end()
                raise SandboxError(f"the warm engine died: {error.strerror}") from error

    def _start(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [sys.executable, "-c", _MAIN.format(str(PACKAGE)), str(theirs.fileno())]
        with theirs, tempfile.TemporaryFile() as said:
            self._parent = subprocess.Popen(
                [*command, *self._modules],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=said,
                env=environment(),
                cwd="/",
                pass_fds=[theirs.fileno()],
                # A session of its own: Ctrl-C in the terminal is for us, and we end the parent.
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
        if self._parent is not None:
            self._parent.kill()
            self._parent.wait()
            self._parent = None


class WarmBox(ColdBox):
    """A `ColdBox` whose runs start in a warm parent."""

    def __init__(
        self, snapshots: Snapshots, engine: WarmEngine, *, data: Path | None = None
    ) -> None:
        """Start with an empty workspace; see `ColdBox`."""
        super().__init__(snapshots, data=data)
        self._engine = engine

    def _serve(self, request: bytes, *, timeout_s: float) -> bytes:
        return self._engine.serve(request, timeout_s=timeout_s)

"""The command line in processes of their own, forked from one that has imported everything.

Importing takes longer than a stage of these tests. Nothing else differs from starting Python anew:
each command has a session of its own, as a terminal's job has, and ends as it ends.
"""

import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

_CONTEXT = get_context("forkserver")
_CONTEXT.set_forkserver_preload(
    [
        "torch",
        "peft",
        "sklearn.metrics",
        "transformers.models.auto.modeling_auto",
        "transformers.models.auto.tokenization_auto",
        "transformers.models.llama.modeling_llama",
        "ml_agent.cli.main",
        "ml_agent.cli.evaluating",
        "ml_agent.cli.pipeline",
        "ml_agent.cli.session",
        "ml_agent.cli.recipes",
    ]
)
_SUBREAPER = 36
_PATIENCE_S = 180.0
_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Ended:
    """How a command ended."""

    code: int
    said: list[str]
    """Lines on standard error."""


class Command:
    """A command under way."""

    def __init__(self, arguments: list[str], cwd: Path, said: Path, mounts: Path | None) -> None:
        self._said = said
        self._process = _CONTEXT.Process(
            target=_become, args=(arguments, str(cwd), str(said), mounts)
        )
        self._process.start()

    def until(self, happened: Callable[[], bool]) -> "Command":
        """Wait for something to happen while the command runs."""
        deadline = time.monotonic() + _PATIENCE_S
        while not happened():
            self._must_run()
            assert time.monotonic() < deadline, self.said()
            time.sleep(0.01)
        return self

    def signal(self, number: int) -> "Command":
        """Signal its process group, as a terminal does."""
        self._must_run()
        while os.getpgid(self._process.pid) != self._process.pid:
            time.sleep(0.01)
        os.killpg(self._process.pid, number)
        return self

    def stop(self, number: int) -> Ended:
        """Signal it, and see how it ends."""
        return self.signal(number).end()

    def end(self) -> Ended:
        """See how it ends by itself."""
        self._process.join(_PATIENCE_S)
        assert self._process.exitcode is not None, f"it does not end: {self.said()}"
        return Ended(self._process.exitcode, self.said().splitlines())

    def abandon(self) -> None:
        """Kill it if a test has failed before its end."""
        self._process.kill()
        self._process.join()

    def _must_run(self) -> None:
        assert self._process.is_alive(), f"it ended too early: {self.said()}"

    def said(self) -> str:
        """What it has said so far, on standard error."""
        return self._said.read_text() if self._said.exists() else ""


class Terminal:
    """Starts commands, and knows what processes they leave."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._commands: list[Command] = []
        self._others: set[int] = set()

    def start(self, arguments: list[str], cwd: Path, *, mounts: Path | None = None) -> Command:
        """Start `ml-agent ARGUMENTS` in a folder, in a mount namespace if one is given."""
        self._others = _children()
        said = self._folder / f"stderr-{len(self._commands)}"
        self._commands.append(Command(arguments, cwd, said, mounts))
        return self._commands[-1]

    def nothing_is_left(self) -> bool:
        """Whether every process that ended commands had started ends too."""
        deadline = time.monotonic() + _PATIENCE_S
        while left := _children() - self._others:
            for pid in left:
                os.waitpid(pid, os.WNOHANG)
            if time.monotonic() > deadline:
                return False
            time.sleep(0.02)
        return True

    @contextmanager
    def opened(self) -> Iterator["Terminal"]:
        """Be the one to whom processes fall whose parent has ended."""
        # The server itself is ours from now on, and no command's.
        _CONTEXT.Process(target=int).start()
        assert _libc.prctl(_SUBREAPER, 1, 0, 0, 0) == 0
        try:
            yield self
        finally:
            for command in self._commands:
                command.abandon()
            _libc.prctl(_SUBREAPER, 0, 0, 0, 0)


def _become(arguments: list[str], cwd: str, said: str, mounts: Path | None) -> None:
    os.setsid()
    signal.signal(signal.SIGINT, signal.default_int_handler)
    nothing, told = os.open(os.devnull, os.O_RDWR), os.open(said, os.O_WRONLY | os.O_CREAT, 0o644)
    for number, fd in enumerate((nothing, nothing, told)):
        os.dup2(fd, number)
    if mounts is not None:
        entered = os.open(mounts, os.O_RDONLY)
        assert _libc.setns(entered, 0) == 0, os.strerror(ctypes.get_errno())
    os.chdir(cwd)
    sys.argv = ["ml-agent", *arguments]
    import torch

    from ml_agent.cli.main import main

    # Tests run side by side, and the network is tiny: a second thread only waits for the first.
    torch.set_num_threads(1)
    main()


def _children() -> set[int]:
    while True:
        tasks = Path("/proc/self/task").iterdir()
        try:
            return {int(pid) for task in tasks for pid in (task / "children").read_text().split()}
        except (FileNotFoundError, ProcessLookupError):
            # A thread of a test's own has just ended.
            continue

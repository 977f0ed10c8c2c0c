"""The canary world around a box under attack, and the means to attack it."""

import os
import secrets
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

import pytest
from box_conformance import but, play

from ml_agent.sandbox import Sandbox

ATTEMPT = """
import ctypes, os, signal, socket, subprocess, sys, time
libc = ctypes.CDLL(None, use_errno=True)

def call(number, *args):
    result = libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, args))
    if result < 0:
        raise OSError(ctypes.get_errno(), "")

def attempt(name, attack):
    try:
        print(name, "SUCCEEDED", attack())
    except OSError as error:
        print(name, error.errno)
"""


def attack(box: Sandbox, script: str, **limits: float) -> list[str]:
    """Run attempts and return a line for each: its name and the errno that it met."""
    seen = play(box, ATTEMPT + dedent(script), limits=but(**limits))
    assert seen.succeeded, seen
    return seen.output.splitlines()


def wait_for(happens: Callable[[], bool], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not happens():
        assert time.monotonic() < end
        time.sleep(0.01)


def is_running(token: str) -> bool:
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and token.encode() in (entry / "cmdline").read_bytes():
                return True
        except OSError:
            continue
    return False


@dataclass(frozen=True)
class Outside:
    """What a script must not reach, with nothing but the box in its way."""

    folder: Path
    data: Path
    answers: Path
    secret: str
    tcp: socket.socket
    unix: socket.socket
    abstract: str
    process: subprocess.Popen[bytes]

    def was_touched(self) -> bool:
        for listener in (self.tcp, self.unix):
            try:
                listener.accept()[0].close()
            except BlockingIOError:
                continue
            return True
        names = {path.name for path in self.folder.rglob("*")}
        return (
            names != {"public", "train.csv", "private", "answers.csv", "socket"}
            or self.answers.read_text() != self.secret
            or (self.data / "train.csv").read_text() != "x,y\n1,2\n"
            or self.process.poll() is not None
        )


@pytest.fixture
def outside(monkeypatch: pytest.MonkeyPatch) -> Iterator[Outside]:
    secret = secrets.token_hex(8)
    monkeypatch.setenv("SECRET", secret)
    # Not below /tmp: the box has one of its own, so looking there would prove nothing.
    with tempfile.TemporaryDirectory(prefix="ml-agent-", dir="/var/tmp") as name:
        folder = Path(name)
        (folder / "public").mkdir()
        (folder / "public" / "train.csv").write_text("x,y\n1,2\n")
        (folder / "private").mkdir()
        answers = folder / "private" / "answers.csv"
        answers.write_text(secret)
        for path in (folder, *folder.rglob("*")):
            path.chmod(0o777)
        abstract = f"canary-{secret}"
        with (
            _listening(socket.AF_INET, ("127.0.0.1", 0)) as tcp,
            _listening(socket.AF_UNIX, str(folder / "socket")) as unix,
            _listening(socket.AF_UNIX, "\0" + abstract),
            subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", "input()"], stdin=subprocess.PIPE, env=os.environ
            ) as process,
        ):
            (folder / "socket").chmod(0o777)
            yield Outside(folder, folder / "public", answers, secret, tcp, unix, abstract, process)
            process.kill()


def _listening(family: socket.AddressFamily, address: object) -> socket.socket:
    listener = socket.socket(family)
    listener.bind(address)
    listener.listen()
    listener.setblocking(False)
    return listener

"""Ctrl-C that is never lost.

Python raises KeyboardInterrupt wherever it stands. In the middle of importing a native library that
aborts the process, and some libraries swallow it. So it is remembered, held back during imports,
and asked for again wherever progress is shown.
"""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class _CtrlC:
    """What is known about Ctrl-C in this process."""

    asked = False
    held = False

    def __call__(self, _number: int, _frame: FrameType | None) -> None:
        """Remember the signal; stop at once unless that would break something."""
        self.asked = True
        if not self.held:
            raise KeyboardInterrupt


_ctrl_c = _CtrlC()


def listen() -> None:
    """Take over Ctrl-C, unless this process was started to ignore it."""
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _ctrl_c)


@contextmanager
def held() -> Iterator[None]:
    """Hold Ctrl-C back until the block has ended.

    Raises:
        KeyboardInterrupt: It came meanwhile.
    """
    _ctrl_c.held = True
    try:
        yield
    finally:
        _ctrl_c.held = False
    stop_if_asked()


def asked_to_stop() -> bool:
    """Whether Ctrl-C has come."""
    return _ctrl_c.asked


def stop_if_asked() -> None:
    """Stop if Ctrl-C has come, even if what it interrupted took no notice.

    Raises:
        KeyboardInterrupt: It has come.
    """
    if _ctrl_c.asked:
        raise KeyboardInterrupt

"""Ctrl-C that is never lost.

Python raises KeyboardInterrupt wherever it stands. In the middle of importing a native library that
aborts the process, some libraries swallow it, and some fail with an error of their own on their way
out. So it is remembered, held back during imports, asked for again wherever progress is shown, and
looked for behind an error that nobody expected.
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


def came_of_ctrl_c(error: BaseException) -> bool:
    """Whether an error was raised on the way out from Ctrl-C, as by a library's clean-up."""
    behind: BaseException | None = error
    while behind is not None and not isinstance(behind, KeyboardInterrupt):
        behind = behind.__context__
    return behind is not None


def stop_if_asked() -> None:
    """Stop if Ctrl-C has come, even if what it interrupted took no notice.

    Raises:
        KeyboardInterrupt: It has come.
    """
    if _ctrl_c.asked:
        raise KeyboardInterrupt

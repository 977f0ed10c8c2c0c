"""Progress on standard error: a bar with the time left on a terminal, plain lines elsewhere."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from ml_agent.cli.interrupts import stop_if_asked

_EVERY_S = 20.0


class Bar:
    """How far a stage has come."""

    def __init__(self, stage: str, total: int, console: Console, progress: Progress | None) -> None:
        self._stage, self._total, self._console = stage, total, console
        self._progress = progress
        self._task = progress.add_task(stage, total=total, note="") if progress else None
        self._done, self._began, self._told = 0, monotonic(), monotonic()
        # What is said to be done first tells no pace: an earlier call may have done it.
        self._before: int | None = None

    def share(self, by: int = 0) -> float:
        """How much of the work is done when `by` more is."""
        return min(1.0, (self._done + by) / max(1, self._total))

    def advance(self, note: str = "", *, by: int = 1) -> None:
        """Some of the work is done; a good moment to stop."""
        stop_if_asked()
        self._done += by
        if self._before is None:
            self._before, self._began = self._done, monotonic()
        if self._progress is not None and self._task is not None:
            self._progress.update(self._task, advance=by, note=note)
        elif monotonic() - self._told > _EVERY_S or self._done == self._total:
            self._told = monotonic()
            line = f"{self._stage}: {self._done}/{self._total}{self._left(self._told)}  {note}"
            self._console.print(line.rstrip(), highlight=False, markup=False, soft_wrap=True)

    def _left(self, now: float) -> str:
        """How long it takes at the pace of this call, if that is known."""
        done = self._done - (self._before or 0)
        if not done:
            return ""
        return f", {clock((now - self._began) / done * (self._total - self._done))} left"


@contextmanager
def progress(stage: str, total: int) -> Iterator[Bar]:
    """Show how a stage goes."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield Bar(stage, total, console, None)
        return
    columns = (
        TextColumn("{task.description:<22}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TimeRemainingColumn(elapsed_when_finished=True),
        TextColumn("{task.fields[note]}", markup=False),
    )
    with Progress(*columns, console=console) as shown:
        yield Bar(stage, total, console, shown)


def say(line: str) -> None:
    """One line about what is being done."""
    Console(stderr=True).print(line, highlight=False, markup=False, soft_wrap=True)


def clock(seconds: float) -> str:
    """A duration as people say it: 45 s, 3 min 20 s, 1 h 5 min."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60} s"
    return f"{whole // 3600} h {whole % 3600 // 60} min"

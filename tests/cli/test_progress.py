"""What is told of how a stage goes, where there is no terminal."""

from collections.abc import Iterator
from io import StringIO

import pytest
from rich.console import Console

from ml_agent.cli import progress
from ml_agent.cli.progress import Bar


class Clock:
    """Seconds, as a test has it."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    made = Clock()
    monkeypatch.setattr(progress, "monotonic", made)
    yield made


def told(bar_of: int, clock: Clock, *advances: tuple[float, int]) -> list[str]:
    """What a bar says whose work is done at these moments."""
    said = StringIO()
    clock.now = 0.0
    bar = Bar("working", bar_of, Console(file=said, width=200), None)
    for clock.now, by in advances:
        bar.advance(by=by)
    return said.getvalue().splitlines()


def test_the_time_left_is_told_at_the_pace_of_this_call(clock: Clock) -> None:
    # 90 of 100 were done before; then one in 30 s.
    assert told(100, clock, (0, 90), (30, 1)) == ["working: 91/100, 4 min 30 s left"]
    assert told(10, clock, (0, 0), (30, 1), (60, 1)) == [
        "working: 1/10, 4 min 30 s left",
        "working: 2/10, 4 min 0 s left",
    ]


def test_what_is_said_first_tells_no_pace(clock: Clock) -> None:
    assert told(10, clock, (30, 1), (60, 2)) == ["working: 1/10", "working: 3/10, 1 min 45 s left"]
    assert told(4, clock, (0, 4)) == ["working: 4/4"]

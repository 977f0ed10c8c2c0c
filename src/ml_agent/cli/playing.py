"""What stages have in common: the tasks they need, and how they tell of attempts that end."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from typing import Any

from ml_agent.cli.experts import spent_so_far
from ml_agent.cli.pinning import pin
from ml_agent.cli.preparing import prepare_tasks
from ml_agent.cli.progress import Bar, progress
from ml_agent.cli.session import Session
from ml_agent.core.records import Trajectory
from ml_agent.models.http import Usage
from ml_agent.tasks import PreparedTask

_USAGE_EVERY_S = 5.0


def prepared_tasks(session: Session, names: Sequence[str]) -> dict[str, PreparedTask]:
    """Tasks by id, prepared now if they were not.

    Raises:
        UsageError: There is no such task, or it is not what it was when the run first used it.
        TaskError: A task is broken, or its data cannot be prepared.
    """
    ready = {name: session.own[name] for name in names if name in session.own}
    others = [name for name in names if name not in ready]
    with progress("preparing tasks", len(others)) as bar:
        for prepared in prepare_tasks(others, tier=session.tier):
            ready[prepared.task.id] = prepared
            bar.advance(prepared.task.id)
    # Those of its own lie in the run: nothing changes them but itself.
    pin(session.run, [ready[name] for name in ready if name not in session.own])
    return ready


@contextmanager
def told_ends(bar: Bar, session: Session) -> Iterator[Any]:
    """Advance a bar whenever an attempt has ended, and tell what an endpoint was paid for it."""
    usage: Usage | None = None
    looked = float("-inf")
    earlier = session.write_usage()
    before: tuple[float, float] | None = None

    def on_step(trajectory: Trajectory) -> None:
        nonlocal usage, looked, before
        if before is None:
            # Not earlier: what was done in other calls is told to the bar first.
            before = (earlier.cost if earlier else 0.0, bar.share())
        if trajectory.end is not None:
            # Adding up a hundred thousand requests takes a while.
            if monotonic() - looked > _USAGE_EVERY_S or bar.share(1) == 1.0:
                usage, looked = session.write_usage(), monotonic()
            share = bar.share(1)
            spent = f"  {spent_so_far(usage, share=share, before=before)}" if usage else ""
            bar.advance(f"{trajectory.task}{spent}")

    yield on_step

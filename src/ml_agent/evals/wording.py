"""What an evaluation says, in a terminal."""

from typing import TYPE_CHECKING

from ml_agent.evals.statistics import Interval
from ml_agent.evals.summary import Summary
from ml_agent.pages.wording import UNKNOWN, change, percent

if TYPE_CHECKING:
    from rich.table import Table


def terminal_table(summary: Summary) -> "Table":
    """The headline as a table for a terminal; also readable without colour."""
    from rich import box
    from rich.table import Table

    # Fits into 80 columns.
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column(f"{len(summary.held_out_tasks)} held-out tasks", no_wrap=True)
    for heading in ("valid\nactions", "edits\nthat run", "mean\ngain"):
        table.add_column(heading, justify="right", no_wrap=True)
    heading = "normalised gain\n0 starter, 1 reference"
    table.add_column(heading, justify="right", no_wrap=True)
    table.add_column("attempts", justify="right", no_wrap=True)
    for label, found in summary.policies.items():
        table.add_row(
            label,
            percent(found.valid_action_rate),
            percent(found.edits_that_run),
            change(found.gain),
            interval(found.normalised_gain),
            f"{found.attempts}" + (f" ({found.broken} broken)" if found.broken else ""),
        )
    table.add_section()
    for later, earlier, difference in summary.pairs():
        pairs = f"{difference.pairs} pairs"
        table.add_row(f"{later} minus {earlier}", "", "", "", interval(difference), pairs)
    return table


def interval(found: Interval | None) -> str:
    """A mean and its interval: "+0.31 [+0.12, +0.49]"; "n/a" where it is not known."""
    if found is None:
        return UNKNOWN
    return f"{found.mean:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"

"""Figures as people read them: in a terminal and on a page."""

from typing import TYPE_CHECKING

from ml_agent.evals.statistics import Interval
from ml_agent.evals.summary import Summary

if TYPE_CHECKING:
    from rich.table import Table

UNKNOWN = "n/a"


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


def percent(share: float | None) -> str:
    """A share: "93 %"; "n/a" where it is not known."""
    return UNKNOWN if share is None else f"{100 * share:.0f} %"


def change(share: float | None) -> str:
    """A relative change: "+4.1 %"; "n/a" where it is not known."""
    return UNKNOWN if share is None else f"{100 * share:+.1f} %"


def interval(found: Interval | None) -> str:
    """A mean and its interval: "+0.31 [+0.12, +0.49]"; "n/a" where it is not known."""
    if found is None:
        return UNKNOWN
    return f"{found.mean:+.2f} [{found.low:+.2f}, {found.high:+.2f}]"


def number(value: float | None) -> str:
    """A figure to three significant digits, thousands apart: "0.710", "0.00320", "23,457"."""
    if value is None:
        return UNKNOWN
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:#.3g}".rstrip(".")


def duration(seconds: float) -> str:
    """Seconds as people say them: "41 s", "3 min 20 s", "1 h 05 min"."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"

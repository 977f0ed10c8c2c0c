"""How long an attempt may go on where a script of it is run once more afterwards."""

from dataclasses import dataclass

RUN_AT_LEAST_S = 1.0
"""Shorter runs are counted as so long: starting and reading take their time too."""


@dataclass(frozen=True, kw_only=True)
class TimeLimit:
    """When all must be over, and what is kept for the best script's last run."""

    deadline: float
    """When all must be over, as `time.monotonic` tells it."""
    runs_after: float = 0.0
    """How many times as long as its own run a script takes once more in the end; 0: it is not run
    again."""
    best_s: float = 0.0
    """What the best script took so far; it may stay the best."""

    def ends(self, longest_s: float = 0.0) -> float:
        """When the last experiment must be over.

        Args:
            longest_s: What the longest run since then took: it may have been of a new best script.
        """
        longest_s = max(self.best_s, longest_s, RUN_AT_LEAST_S)
        return self.deadline - self.runs_after * longest_s

    def run_s(self, now: float, longest_s: float = 0.0) -> float:
        """Seconds that a run may take which begins now, so that its script can be run again."""
        shared_s = (self.deadline - now) / (1 + self.runs_after)
        return min(self.ends(longest_s) - now, shared_s)

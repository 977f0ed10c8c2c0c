"""Notices when practice goes wrong in a way that the reward alone does not show.

Each alarm looks at the last few updates and is given once, when its state begins.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean

Figures = Mapping[str, float | int | str | None]

SPAN = 3
"""Updates looked at together: one alone may be unlucky with its states."""
_CERTAIN = 0.25
"""Share of the first updates' entropy below which a policy tries hardly anything new."""
_NEARLY_ALL = 0.8
_HALF = 0.5
_QUARTER = 0.25


@dataclass
class Watch:
    """Looks at one update after the other."""

    max_tokens: int
    """Tokens at which an action is cut off."""
    _seen: list[Figures] = field(default_factory=list)
    _given: set[str] = field(default_factory=set)

    def look(self, figures: Figures) -> list[str]:
        """What has begun to go wrong, in words for the user; mostly nothing.

        Args:
            figures: Of the next update, as `Practice` gives them.
        """
        self._seen.append(figures)
        if len(self._seen) < 2 * SPAN:
            return []
        checks: dict[str, Callable[[], str | None]] = {
            "entropy": self._certainty,
            "length": self._length,
            "shortness": self._shortness,
            "spread": self._sameness,
            "validity": self._validity,
            "lateness": self._lateness,
        }
        told = {name: check() for name, check in checks.items()}
        began = [said for name, said in told.items() if said and name not in self._given]
        self._given = {name for name, said in told.items() if said}
        return began

    def _certainty(self) -> str | None:
        if (fallen := self._fallen("entropy", below=_CERTAIN)) is None:
            return None
        first, last = fallen
        return (
            f"the policy's entropy has fallen from {first:.3f} to {last:.3f}: it tries hardly "
            "anything new. A lower learning rate, or a higher temperature, KL weight or eps_high, "
            "keep it trying."
        )

    def _length(self) -> str | None:
        last = self._mean("cut_off")
        if last is None or last < _QUARTER:
            return None
        return (
            f"{last:.0%} of the actions are cut off at {self.max_tokens} tokens: the policy does "
            "not end what it writes. Raise rl.max_tokens, or imitate shorter answers."
        )

    def _shortness(self) -> str | None:
        if (fallen := self._fallen("action_tokens", below=_HALF)) is None:
            return None
        first, last = fallen
        return (
            f"actions have shrunk from {first:.0f} to {last:.0f} tokens: the policy avoids what "
            "could fail, or leaves its thoughts out. Read a few in the report, and see whether "
            "rl.reward pays for doing nothing."
        )

    def _sameness(self) -> str | None:
        last = self._mean("zero_spread_groups")
        if last is None or last < _NEARLY_ALL:
            return None
        return (
            f"in {last:.0%} of the states all actions earn the same, which teaches nothing. More "
            "rl.actions, a higher temperature or other states would."
        )

    def _validity(self) -> str | None:
        if (fallen := self._fallen("valid_action_rate", below=_HALF)) is None:
            return None
        first, last = fallen
        return (
            f"valid actions have fallen from {first:.0%} to {last:.0%}: the policy forgets the "
            "form. A lower learning rate would hold it, in a run of another name."
        )

    def _lateness(self) -> str | None:
        last = self._mean("late_actions")
        if last is None or last < 1:
            return None
        return (
            f"{last:.1f} actions an update came too late to be learned from: their experiments "
            "take longer than the updates that rl.staleness allows. Raise it, or workers."
        )

    def _fallen(self, name: str, *, below: float) -> tuple[float, float] | None:
        """From where to where a figure has fallen, if below that share of what it was first."""
        first, last = self._mean(name, self._seen[:SPAN]), self._mean(name)
        if first is None or last is None or last >= below * first:
            return None
        return first, last

    def _mean(self, name: str, updates: Sequence[Figures] | None = None) -> float | None:
        looked_at = self._seen[-SPAN:] if updates is None else updates
        found = [one.get(name) for one in looked_at]
        numbers = [float(value) for value in found if isinstance(value, (int, float))]
        return fmean(numbers) if numbers else None

"""What was tried in an update's states, and what is to be learned from it.

A try is what the policy did from a state on: one action in step mode, in episode mode a whole
attempt. What it earned is the sum of its steps' rewards; a sum with an unknown part is unknown, so
that neither our own failure nor what came before it trains anything.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import groupby
from statistics import fmean

from ml_agent.core.errors import TrainingError
from ml_agent.core.records import Completion, Message, Trajectory
from ml_agent.rewards import Case, case_of
from ml_agent.store import Sample
from ml_agent.train.update import Group


class Tries:
    """The samples of an update, by state and try.

    Attributes:
        samples: All of them, in the order of states, tries and steps.
        by_state: In each state that was drawn, the tries; in each try, its samples in order.
    """

    def __init__(
        self, samples: Iterable[Sample], *, a_state: int, whole: bool, masked: bool = False
    ) -> None:
        """Sort samples.

        Args:
            samples: In that order.
            a_state: Tries in each state.
            whole: A try is an attempt, not an action.
            masked: Whether nothing is learned from an action that met a limit.
        """
        self.samples = list(samples)
        attempts = [list(its) for _, its in groupby(self.samples, key=lambda one: one.trajectory)]
        tries = attempts if whole else [[one] for one in self.samples]
        self.by_state = [tries[i : i + a_state] for i in range(0, len(tries), a_state)]
        self._masked = masked

    @property
    def broken(self) -> int:
        """Tries of which not all that they earned is known, by our own fault."""
        return len(self.failures)

    @property
    def failures(self) -> list[str]:
        """Of each try that our own fault ended, how."""
        return [one[-1].failure for its in self.by_state for one in its if one[-1].failure]

    def alarm_if_broken(self, *, at_most: float) -> None:
        """Refuse to learn where more is broken than our own faults explain that are to be expected.

        Args:
            at_most: Share of the actions that may fail by our own fault. So few actions tell
                little of it, that it takes two standard deviations more.

        Raises:
            TrainingError: More have.
        """
        failures, tried = self.failures, len(self.samples)
        if len(failures) > at_most * tried + 2 * math.sqrt(at_most * (1 - at_most) * tried):
            raise TrainingError(
                f"{len(failures)} of {tried} actions of an update failed by our own fault, "
                f"last: {failures[-1]}. Run `ml-agent doctor`, then the same command again."
            )

    def returns(self) -> list[list[float | None]]:
        """By state, what each try earned in all; None: unknown."""
        return [[self._ahead(one)[0] for one in its] for its in self.by_state]

    def groups(
        self, seen: Mapping[str, Trajectory], *, whole_returns: bool, by_duration: bool
    ) -> list[Group]:
        """What an algorithm learns from: actions with equal prompts are computed together.

        Args:
            seen: The trajectories that the samples' states are of, by id.
            whole_returns: An action is worth what its try earned in all, not only from there on.
            by_duration: Weigh actions by what their experiments took (`duration_weights`).
        """
        known = [sample for sample in self.samples if self._reward(sample) is not None]
        weight = duration_weights(known)
        groups = []
        for tries in self.by_state:
            rows: dict[tuple[Message, ...], list[tuple[Completion, float, float]]] = {}
            ahead = [self._ahead(one) for one in tries]
            for samples, worths in zip(tries, ahead, strict=True):
                for sample, rest in zip(samples, worths, strict=True):
                    worth = worths[0] if whole_returns else rest
                    if worth is not None:
                        prompt = seen[sample.trajectory].prompt_of(sample.t)
                        row = (sample.step.completion, worth, weight(sample))
                        rows.setdefault(prompt, []).append(row)
            earned = [worths[0] for worths in ahead if worths[0] is not None]
            groups += [
                Group(
                    prompt=prompt,
                    completions=tuple(completion for completion, _, _ in found),
                    rewards=tuple(worth for _, worth, _ in found),
                    baseline=fmean(earned) if earned else None,
                    weights=tuple(weight for _, _, weight in found) if by_duration else None,
                )
                for prompt, found in rows.items()
            ]
        return groups

    def _reward(self, sample: Sample) -> float | None:
        masked = self._masked and case_of(sample.step) is Case.CORNER
        return None if masked else sample.reward

    def _ahead(self, samples: Sequence[Sample]) -> list[float | None]:
        """What a try earned from each of its steps on."""
        ahead: list[float | None] = []
        total: float | None = 0.0
        for sample in reversed(samples):
            reward = self._reward(sample)
            total = None if total is None or reward is None else total + reward
            ahead.append(total)
        return ahead[::-1]


def duration_weights(samples: Sequence[Sample]) -> Callable[[Sample], float]:
    """How much each action of an update counts: its experiment's seconds over their mean.

    Where experiments run side by side, those that are done soon are learned from more often, and
    slow good actions come off badly; so the weight (arXiv:2509.01684). An action without an
    experiment counts once: what is invalid must still be unlearned.

    Args:
        samples: All of the update whose reward is known.
    """
    seconds = [one.step.execution.wall_s for one in samples if one.step.execution]
    mean = fmean(seconds) if any(seconds) else 1.0

    def weight(sample: Sample) -> float:
        return sample.step.execution.wall_s / mean if sample.step.execution else 1.0

    return weight

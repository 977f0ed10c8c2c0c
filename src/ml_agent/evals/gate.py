"""Whether a policy that learned more takes the place of the one it came from.

The rule is fixed beforehand: it does only if its attempts at held-out tasks, paired with the other
one's by task and seed, are better by an interval that lies above 0. What cannot be told apart
changes nothing.
"""

from collections.abc import Mapping, Sequence

from ml_agent.core.base import Record
from ml_agent.evals.results import AttemptResult
from ml_agent.evals.statistics import Difference, paired_difference

PAIRS_AT_LEAST = 5
"""Fewer have an interval that may lie above 0 by chance once in a few times."""
RULE = (
    "The new policy is kept only if the 95 % interval of its normalised gain on held-out tasks "
    f"minus the old one's, paired by task and seed, lies above 0, on {PAIRS_AT_LEAST} pairs at "
    "least."
)


class Verdict(Record):
    """What was decided, and why."""

    kept: bool
    why: str
    difference: Difference | None
    """New minus old; None: there was nothing to pair."""


def verdict(
    old: Sequence[AttemptResult], new: Sequence[AttemptResult], *, seed: int = 0
) -> Verdict:
    """Decide by the attempts of both policies; broken ones say nothing.

    Args:
        old: Of the policy that is there.
        new: Of the one that may take its place.
        seed: Of the bootstrap.
    """
    gains_new, gains_old = _gains(new), _gains(old)
    found = paired_difference(gains_new, gains_old, seed=seed)
    pairs = 0 if found is None else found.pairs
    if found is None or pairs < PAIRS_AT_LEAST:
        why = (
            f"not kept: {pairs} pairs of attempts can be compared, and {PAIRS_AT_LEAST} are the "
            "least that tell. Raise evaluation.attempts_per_task."
        )
        return Verdict(kept=False, why=why, difference=found)
    tasks = len({task for task, _ in gains_new.keys() & gains_old.keys()})
    measured = (
        f"new minus old is {found.mean:+.3f} of normalised gain (95 % interval {found.low:+.3f} "
        f"to {found.high:+.3f}) in {pairs} pairs of attempts at {tasks} held-out "
        f"{'task' if tasks == 1 else 'tasks'}"
    )
    kept = found.low > 0
    if kept:
        said = "kept: the new policy is above the old one"
    elif found.high < 0:
        said = "not kept: the new policy is below the old one"
    else:
        said = "not kept: the two cannot be told apart"
    return Verdict(kept=kept, why=f"{said}: {measured}.", difference=found)


def _gains(results: Sequence[AttemptResult]) -> Mapping[tuple[str, int], float]:
    return {
        (one.task, one.seed): one.normalised_gain
        for one in results
        if one.normalised_gain is not None
    }

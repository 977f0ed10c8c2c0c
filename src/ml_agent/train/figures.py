"""What an update's tries came to, in figures."""

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from statistics import fmean

from ml_agent.core.actions import EDITS
from ml_agent.core.records import Step
from ml_agent.rewards import Case, case_of
from ml_agent.train.tries import Tries

Metrics = dict[str, float | int | str | None]


def scripts(steps: Iterable[Step]) -> int:
    """How many scripts were executed in steps, those among them whose result was known."""
    return sum(step.execution is not None for step in steps)


def describe(tasks: Sequence[str], tries: Tries) -> Metrics:
    """What the tries of one update came to. Shares are of the actions whose fate is known.

    Args:
        tasks: Of each state that was drawn.
        tries: What was tried in them.
    """
    by_task: dict[str, list[float]] = {}
    for task, its in zip(tasks, tries.by_state, strict=True):
        found = [one.reward for those in its for one in those if one.reward is not None]
        by_task.setdefault(task, []).extend(found)
    known = [sample for sample in tries.samples if sample.reward is not None]
    by_case: dict[Case, list[float]] = {}
    for sample in known:
        by_case.setdefault(case_of(sample.step), []).append(sample.reward or 0.0)
    cases = Counter({case: len(those) for case, those in by_case.items()})
    edits = [s for s in known if s.step.action and s.step.action.kind in EDITS]
    count = max(1, len(known))
    rewards = [reward for those in by_task.values() for reward in those]
    returns = [one for its in tries.returns() for one in its if one is not None]
    seconds = [s.step.execution.wall_s for s in known if s.step.execution]
    written = [len(sample.step.completion.token_ids) for sample in tries.samples]
    logprobs = [one for sample in tries.samples for one in sample.step.completion.logprobs]
    return {
        "reward": math.fsum(rewards) / count,
        "return": fmean(returns) if returns else None,
        "valid_action_rate": 1 - cases[Case.INVALID] / count,
        "edits_that_run": cases[Case.EDIT] / len(edits) if edits else None,
        **{f"case_{case.value}": cases[case] / count for case in Case if case is not Case.UNKNOWN},
        **{f"reward_case_{case.value}": fmean(those) for case, those in by_case.items()},
        "broken": tries.broken,
        "action_tokens": fmean(written),
        # Of all of them: states whose answers are all alike are those it has settled on.
        "entropy": -fmean(logprobs) if logprobs else None,
        "cut_off": fmean(not sample.step.completion.finished for sample in tries.samples),
        **{f"reward_{task}": fmean(those) for task, those in by_task.items() if those},
        "experiment_wall_s": math.fsum(seconds),
        "experiments": len(seconds),
        "cached_experiments": sum(s.step.execution.cached for s in known if s.step.execution),
    }

"""Tasks and attempts written by hand, for the tests beside this file."""

from typing import Any

import made_records
from made_records import made_task, made_trajectory
from ml_agent.core.actions import EditScript, ExecuteScript, FinalAnswer
from ml_agent.core.records import Completion, Domain, End, Execution, Metric, Step, Task, Trajectory
from ml_agent.evals import AttemptResult

EDIT = made_records.EDIT.model_copy(update={"new_code": "depth = 8"})
STOP = FinalAnswer(final_answer="done")


def task(
    name: str = "iris", *, higher: bool = True, m_init: float = 0.5, m_best: float = 0.9
) -> Task:
    plain = made_task(name, m_init=m_init, m_best=m_best, higher=higher)
    facts = {
        "domain": Domain.TABULAR_CLASSIFICATION,
        "statement": "Predict the species of a flower.",
        "metric": Metric(name="accuracy" if higher else "mae", higher_is_better=higher),
    }
    return plain.model_copy(update=facts)


def step(
    action: Any = EDIT,
    *,
    score: float | None = None,
    exit_code: int = 0,
    said: str = "Thought: go deeper\nAction: Edit Script\nAction Input: {}",
    tokens: int = 10,
    **facts: Any,
) -> Step:
    """An edit or a run with its experiment; an action that runs nothing; None: invalid."""
    runs = isinstance(action, EditScript | ExecuteScript)
    given = {
        "prompt": (0,),
        "completion": Completion(text=said, policy="p", token_ids=tuple(range(tokens))),
        "action": action,
        "invalid": "no action" if action is None else None,
        "score": score,
        "submission": None if score is None else f"csv {score}",
    }
    if runs:
        ran = Execution(exit_code=exit_code, output="trained\n", wall_s=2.0, cpu_s=2.0)
        given |= {"execution": ran, "script": "train.py"}
    return Step(**(given | facts))


def attempt(
    *steps: Step, end: End | None = End.SUBMITTED, seed: int = 0, on: str = "iris"
) -> Trajectory:
    told = [("user", "Improve train.py.")]
    plain = made_trajectory(steps, task=on, name=f"{on}-{seed}", messages=told, end=end)
    failure = "SandboxError: the box is gone" if end is End.BROKEN else None
    return plain.model_copy(update={"seed": seed, "workspace": "start", "failure": failure})


def result(
    on: str = "iris", seed: int = 0, normalised_gain: float | None = 0.5, **facts: Any
) -> AttemptResult:
    """A result with a starter at 0.5 and a reference at 0.9 on test; None: broken."""
    broken = normalised_gain is None
    improved = not broken and normalised_gain != 0
    score = None if broken else 0.5 + 0.4 * normalised_gain
    given = {
        "policy": "p",
        "task": on,
        "seed": seed,
        "trajectory": f"{on}-{seed}",
        "end": End.BROKEN if broken else End.SUBMITTED,
        "best_validation": score,
        "result_step": 1 if improved else None,
        "starter_test": 0.5,
        "reference_test": 0.9,
        "test_score": score,
        "gain": None if broken else (score - 0.5) / 0.5,
        "normalised_gain": normalised_gain,
        "validation_to_test_gap": 0.1 if improved else None,
        "steps": 4,
        "valid_actions": 3,
        "edits": 2,
        "edits_that_run": 1,
        "steps_to_first_improvement": 2 if improved else None,
        "executed_scripts": 2,
        "tokens": 100,
        "experiment_s": 3.0,
    }
    return AttemptResult(**(given | facts))

"""The policies of a run: what they are called, where their weights lie, and one of them loaded."""

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from ml_agent.cli.interrupts import held
from ml_agent.core.errors import UsageError
from ml_agent.store import RunFolder

if TYPE_CHECKING:
    from ml_agent.cli.recipes import ExpertConfig
    from ml_agent.models.local import LocalModel
    from ml_agent.train.policy import Weights


def short_name(model: str) -> str:
    """What a model is called in records."""
    return Path(model).name.lower()


def refuse_namesake(model: str, expert: "ExpertConfig") -> None:
    """Refuse an expert to compare with that is called like a policy: records tell them by name.

    Raises:
        UsageError: It is.
    """
    base = short_name(model)
    if expert.evaluated and f"{expert.model}+".startswith(f"{base}+"):
        raise UsageError(
            f"the expert that is to be evaluated is called {expert.model!r}, and so is a policy of "
            "this run: their attempts could not be told apart. Give the endpoint's model another "
            "name with --expert-model, or leave out expert.evaluated"
        )


def practice_checkpoints(run: RunFolder) -> dict[int, Path]:
    """The checkpoints of practice, by the updates they have seen."""
    steps = {}
    for folder in (run.checkpoints / "rl").glob("step-*"):
        if match := re.fullmatch(r"step-(\d+)", folder.name):
            steps[int(match.group(1))] = folder
    return steps


def latest_practice(run: RunFolder) -> tuple[int, Path | None]:
    """The last of them, and how many updates it has seen; None: there is none."""
    return max(practice_checkpoints(run).items(), default=(0, None))


def trained_policies(run: RunFolder, model: str) -> dict[str, tuple[str, Path | None]]:
    """Name and checkpoint of each policy of a run, by label, in the order of training.

    Args:
        run: The run.
        model: What it trains; its own weights are the policy `base`, which has no checkpoint. A run
            of `learn` has the policy it began with as `old`.
    """
    base = short_name(model)
    found: dict[str, tuple[str, Path | None]] = {"base": (base, None)}
    if (run.checkpoints / "old").exists():
        found["old"] = (f"{base}+old", run.checkpoints / "old")
    if (run.checkpoints / "sft").exists():
        found["sft"] = (f"{base}+sft", run.checkpoints / "sft")
    done, latest = latest_practice(run)
    if latest is not None:
        found["rl"] = (f"{base}+rl@step-{done}", latest)
    return found


def chosen_policy(run: RunFolder, model: str, asked: str) -> tuple[str, Path | None]:
    """Name and checkpoint of the policy that is asked for.

    Args:
        run: The run.
        model: What it trains.
        asked: base, sft, rl (the last of practice), step-N, or of `learn` old; empty: the last
            there is.

    Raises:
        UsageError: There is no such policy; the message names those that are there.
    """
    labelled = trained_policies(run, model)
    steps: dict[str, tuple[str, Path | None]] = {
        f"step-{number}": (f"{short_name(model)}+rl@step-{number}", folder)
        for number, folder in sorted(practice_checkpoints(run).items())
    }
    if not asked and len(labelled) == 1:
        raise UsageError(
            f"{run.path} has no trained policy yet: run `ml-agent sft` for it first, or take the "
            "model as it was with --checkpoint base"
        )
    known = labelled | steps
    chosen = asked or list(labelled)[-1]
    if chosen not in known:
        raise UsageError(
            f"{run.path} has no checkpoint {chosen!r}; choose one of {', '.join(known)}"
        )
    return known[chosen]


def import_torch() -> None:
    """Import all that models in this process need; Ctrl-C is held back meanwhile.

    A native library aborts if its import is interrupted. It takes seconds: first is checked what
    can be checked without.

    Raises:
        KeyboardInterrupt: It came meanwhile.
    """
    with held():
        import peft  # noqa: F401
        import sklearn.metrics  # noqa: F401
        import torch  # noqa: F401
        from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer  # noqa: F401


def policy_of(run: RunFolder, checkpoint: str) -> "LocalModel":
    """A run's policy, ready to be asked.

    Args:
        run: The run.
        checkpoint: As for `chosen_policy`.

    Raises:
        UsageError: There is no such run or policy, or its configuration does not tell what it is.
        MLAgentError: The model or the checkpoint cannot be had or do not fit.
    """
    run.info()
    import_torch()
    from ml_agent.train.policy import Weights

    config = run.config()
    model: Any = config.get("model")
    weights: Any = config.get("weights")
    if not isinstance(model, str) or weights not in get_args(Weights):
        raise UsageError(
            f"{run.path / 'config.json'} does not tell which model was trained and how (model "
            f"{json.dumps(model)}, weights {json.dumps(weights)}). It was written by another "
            "version of ml-agent, or is damaged."
        )
    name, path = chosen_policy(run, model, checkpoint)
    return load_policy(model, weights, path, name=name)


def load_policy(
    model: str, weights: "Weights", checkpoint: Path | None, *, name: str
) -> "LocalModel":
    """A policy, ready to be asked.

    Args:
        model: Name of the model that was trained.
        weights: Which of its weights learned.
        checkpoint: What they became; None: they are as they were.
        name: The policy's name in records.

    Raises:
        MLAgentError: The model or the checkpoint cannot be had or do not fit.
    """
    from ml_agent.models.local import LocalModel
    from ml_agent.train.checkpoints import read_checkpoint
    from ml_agent.train.policy import Policy

    if checkpoint is None:
        return LocalModel.load(model, policy=name)
    if weights == "full":
        # A whole model: it needs neither the one it was trained from nor a second copy.
        read_checkpoint(checkpoint, model=model, weights=weights)
        return LocalModel.load(str(checkpoint), policy=name)
    policy = Policy.load(model, weights=weights)
    policy.take(checkpoint)
    return policy.sampler(name)

"""`train --dry-run`: check what can be checked without weights, and say what would be done."""

from collections.abc import Callable

from ml_agent.cli.recipes import Recipe
from ml_agent.sandbox import Tier
from ml_agent.store import RunFolder
from ml_agent.tasks import find_package
from ml_agent.train.policy import LORA_RANK


def describe(recipe: Recipe, run: RunFolder, *, tier: Callable[[], Tier]) -> str:
    """The plan of a run in a few lines.

    Args:
        recipe: What would be done.
        run: Where it would be done.
        tier: How scripts would be isolated; asked last, for the answer takes a real attack.

    Raises:
        UsageError: A task does not exist, the configuration contradicts itself, or the run is there
            with another one.
        TaskError: A task package is broken.
        NoIsolation: This machine cannot run agent code safely.
    """
    trained = [find_package(name).card.id for name in recipe.train_tasks]
    for name in recipe.held_out_tasks:
        find_package(name)
    recipe.collect.check_quotas(trained)
    there = " (there already: it would be gone on with)"
    begun = there if run.is_begun_with(recipe.as_json()) else ""
    expert = recipe.expert
    attempts = sum(map(recipe.collect.attempts, trained))
    again = 0 if expert.url else recipe.collect.retold
    states = recipe.collect.retold_practised if recipe.practise_tasks and not expert.url else 0
    count = recipe.ideas.per_axis
    ideas = f"{count} ideas a task and axis by {expert.model}" if count else "ideas of the playbook"
    played = recipe.evaluation.attempts_per_task * len(recipe.held_out_tasks)
    tried = (
        f"attempts of at most {recipe.rl.episode_steps} steps"
        if recipe.rl.mode == "episode"
        else f"actions = {recipe.rl.updates * recipe.rl.states * recipe.rl.actions} experiments"
    )
    imitating = f"{recipe.sft.epochs} epochs"
    if recipe.sft.updates is not None:
        imitating = f"{recipe.sft.updates} updates"
    practising = f"{recipe.rl.updates} updates"
    if apart := len(recipe.practise_tasks):
        imitating += f" on {len(recipe.train_tasks) - apart} of the tasks"
        practising += f" on the other {apart}"
    if recipe.rl.scripts is not None:
        practising += f" or {recipe.rl.scripts} executed scripts"
    if recipe.rl.seconds is not None:
        practising += f" or {recipe.rl.seconds:g} s"
    moves = recipe.rl.ppo if recipe.rl.algorithm == "ppo" else recipe.rl.grpo
    method = {
        "alora": f"LoRA of rank {LORA_RANK} on answers",
        "lora": f"LoRA of rank {LORA_RANK}",
        "full": "all weights",
    }[recipe.weights]
    rows = {
        "run": f"{run.path}{begun}",
        "model": f"{recipe.model}, {method}; not loaded now",
        "prompts": f"{recipe.style}; actions: {', '.join(recipe.actions)}",
        "isolation": tier(),
        "collect": f"{attempts} attempts on {len(recipe.train_tasks)} tasks, {ideas}, "
        f"{recipe.collect.ideas_per_axis} an axis at most, by {recipe.collect.rule}; "
        f"played by {expert.model or 'the playbook'}"
        + (f", what helped again on {again} other tellings of a starter" if again else "")
        + (f", to practise from {states} tellings of each of the others" if states else "")
        + (f" with {expert.coder_name} as coder" if expert.url else ""),
        "sft": f"{imitating}, learning rate {recipe.sft.lr:g}, batch "
        f"{recipe.sft.batch}, at most {recipe.sft.max_tokens} tokens an example",
        "rl": f"{practising} of {recipe.rl.states} states x {recipe.rl.actions} "
        f"{tried}, learning rate "
        f"{moves.lr:g}, KL {moves.kl:g}, reward {recipe.rl.reward}, by {recipe.rl.algorithm}",
        "eval": f"{played} attempts of {recipe.evaluation.steps} steps for each policy on "
        f"{len(recipe.held_out_tasks)} held-out tasks",
    }
    lines = [f"{name:<10} {text}" for name, text in rows.items()]
    return "\n".join([f"recipe     {recipe.name}: valid", *lines])

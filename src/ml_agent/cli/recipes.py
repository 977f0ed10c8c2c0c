"""Recipes: functions that return the complete configuration of a run.

A figure changed with `--set rl.updates=20` is checked against the type that stands here.
"""

import math
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from typing import Any, Literal

from ml_agent.core.actions import ACTIONS, NEEDS_CODER
from ml_agent.core.errors import UsageError
from ml_agent.env import COMPACT_ACTIONS, PAPER_ACTIONS, STYLES, PromptStyle
from ml_agent.rewards import reward_named
from ml_agent.tasks import catalogue, find_package
from ml_agent.train.collection import CollectConfig
from ml_agent.train.examples import Filter
from ml_agent.train.grpo import GRPOConfig
from ml_agent.train.ideas import IdeaConfig
from ml_agent.train.policy import Weights
from ml_agent.train.ppo import PPOConfig
from ml_agent.train.reflection import Reflected
from ml_agent.train.sft import SFTConfig
from ml_agent.train.stepwise import StepwiseConfig


@dataclass(frozen=True, kw_only=True)
class EvalConfig:
    """How policies are measured on held-out tasks."""

    attempts_per_task: int = 8
    """Trajectories a task, each with its own seed (the paper: 8)."""
    steps: int = 5
    """Steps an attempt may take."""
    temperature: float = 0.6
    """Of sampling. Practice has its own, `rl.grpo.temperature` or `rl.ppo.temperature`."""
    max_tokens: int = 192

    def __post_init__(self) -> None:
        """Refuse what measures nothing.

        Raises:
            UsageError: A figure makes no sense.
        """
        if min(self.attempts_per_task, self.steps, self.max_tokens) < 1:
            raise UsageError(
                "evaluation.attempts_per_task, evaluation.steps and evaluation.max_tokens start at "
                "1"
            )
        if not self.temperature >= 0:
            raise UsageError(f"evaluation.temperature is {self.temperature}; it starts at 0")


@dataclass(frozen=True, kw_only=True)
class ExpertConfig:
    """A language model behind an OpenAI-compatible endpoint: who plays, and who is the coder."""

    url: str = ""
    """Up to and with the version; empty: the playbook plays, and there is no coder."""
    model: str = ""
    """Plays the training tasks."""
    coder: str = ""
    """Carries out edits and reads files; empty: `model` does."""
    temperature: float = 1.0
    max_tokens: int = 1024
    """Of one reply of the expert."""
    coder_tokens: int = 4096
    """Of one reply of the coder, a whole script."""
    length_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """What the endpoint calls the longest reply."""
    leave_out: tuple[str, ...] = ()
    """Of `temperature`, `top_p` and `seed` what the endpoint does not take, as with models that
    reason."""
    evaluated: bool = False
    """Also play the held-out tasks with it, to compare with."""

    @property
    def coder_name(self) -> str:
        """Who the coder is."""
        return self.coder or self.model

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            UsageError: A figure makes no sense.
        """
        if self.length_field not in {"max_tokens", "max_completion_tokens"}:
            raise UsageError(
                f"expert.length_field is {self.length_field!r}; it is max_tokens or "
                "max_completion_tokens"
            )
        if min(self.max_tokens, self.coder_tokens) < 1:
            raise UsageError("expert.max_tokens and expert.coder_tokens must be at least 1")
        if not self.temperature >= 0:
            raise UsageError(f"expert.temperature is {self.temperature}; it starts at 0")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """Everything that decides what a run does."""

    name: str
    model: str = "smollm2-135m-instruct"
    """The embedded model, a folder in Hugging Face format, or a hub name."""
    weights: Weights = "alora"
    """Which weights learn: `alora` (an adapter that acts on answers alone), `lora` (on every
    token) or `full` (all of them)."""
    gradient_checkpointing: bool = False
    """Learn in less memory and more time: of the way forwards a layer's input alone is kept."""
    train_tasks: tuple[str, ...]
    held_out_tasks: tuple[str, ...]
    practise_tasks: tuple[str, ...] = ()
    """Training tasks by id that are practised on and not imitated, for in a state that it has
    imitated a policy repeats what it imitated. Empty: every one is both."""
    style: PromptStyle = "compact"
    actions: tuple[str, ...] = COMPACT_ACTIONS
    workers: int = 2
    """Experiments at the same time, at most; 0: as many as cores and memory allow."""
    seed: int = 0
    expert: ExpertConfig = field(default_factory=ExpertConfig)
    ideas: IdeaConfig = field(default_factory=IdeaConfig)
    collect: CollectConfig = field(default_factory=CollectConfig)
    imitate: Filter = "none"
    """Which recorded steps are imitated."""
    imitate_longest: int | None = None
    """Characters an imitated answer may have; None: any number."""
    imitate_states: int | None = None
    """In how many different recorded states, those with most answers first; None: in all."""
    imitate_answers: int | None = None
    """How many of the answers to one state, those that helped most; None: all."""
    imitate_reflected: Reflected = "masked"
    """What is imitated of trajectories of reflection, where there are some: `none`, all but the
    errors (`masked`), or the errors too (`unmasked`)."""
    imitate_corrections: int | None = None
    """Of how many of them, evenly over tasks; None: of all."""
    sft: SFTConfig = field(default_factory=SFTConfig)
    rl: StepwiseConfig = field(default_factory=StepwiseConfig)
    evaluation: EvalConfig = field(default_factory=EvalConfig)

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            UsageError: Something is asked for that does not exist or contradicts itself.
        """
        if self.style not in STYLES:
            raise UsageError(f"style {self.style!r} is not one of {', '.join(STYLES)}")
        if self.weights not in typing.get_args(Weights):
            known = ", ".join(typing.get_args(Weights))
            raise UsageError(f"weights {self.weights!r} is not one of {known}")
        if self.imitate not in typing.get_args(Filter):
            known = ", ".join(typing.get_args(Filter))
            raise UsageError(f"imitate {self.imitate!r} is not one of {known}")
        if self.imitate_reflected not in typing.get_args(Reflected):
            known = ", ".join(typing.get_args(Reflected))
            raise UsageError(f"imitate_reflected {self.imitate_reflected!r} is not one of {known}")
        reward_named(self.rl.reward)
        if self.seed < 0:
            raise UsageError(f"seed is {self.seed}; it must be 0 or more")
        if self.workers < 0:
            raise UsageError(f"workers is {self.workers}; give 0 for as many as the machine allows")
        if not self.train_tasks or not self.held_out_tasks:
            raise UsageError("a recipe needs at least one training and one held-out task")
        if not self.actions or not set(self.actions) <= set(ACTIONS):
            raise UsageError(
                f"actions is {', '.join(self.actions) or 'empty'}; there are {', '.join(ACTIONS)}"
            )
        for name in ("states", "answers", "longest", "corrections"):
            count = getattr(self, f"imitate_{name}")
            if count is not None and count < 1:
                raise UsageError(f"imitate_{name} is {count}; give 1 at least, or none")

    def imitates(self, task: str) -> bool:
        """Whether steps at a training task are imitated, by its id."""
        return task not in self.practise_tasks

    def as_json(self) -> dict[str, Any]:
        """The resolved configuration, as it stands in config.json."""
        return asdict(self)


def _tasks(role: str) -> tuple[str, ...]:
    return tuple(name for name, package in catalogue().items() if package.card.role == role)


_QUICK = (
    "air-routes artist-links cell-segmentation concrete-strength digits-8x8 electricity-demand "
    "email-spam food-reviews house-prices late-flights letter-glyphs loan-rates newsgroups "
    "rail-riders reuters-topics satellite-land splice-sites tweet-authors"
)
_QUICK_HELD_OUT = (
    "appliance-plaid art-medium credit-default diamond-prices gene-links hotel-rates mnist-5k"
)


def quickstart() -> Recipe:
    """The whole method, made for two idle cores and 8 GiB; the shortest recipe.

    Its tasks are named, so that its time and its figures stay comparable as the library grows.
    """
    train_tasks = tuple(_QUICK.split())
    return Recipe(
        name="quickstart",
        train_tasks=train_tasks,
        held_out_tasks=tuple(_QUICK_HELD_OUT.split()),
        collect=CollectConfig(attempts_per_task=18, ideas_per_axis=40),
        imitate="improving-edits",
        imitate_longest=480,
        # The starters: few states with many answers teach more than many with few.
        imitate_states=len(train_tasks),
        # Each has a prompt of its own, or two: they cost more than answers that share one.
        imitate_corrections=18,
        # Small updates: where prompts are not computed with answers, large ones save nothing.
        sft=SFTConfig(lr=7e-4, epochs=3, batch=3),
        rl=StepwiseConfig(
            updates=8,
            # Several tasks in every update, and a small step: else what pays on one or two is soon
            # done on all.
            states=4,
            actions=4,
            # By `sigmoid` an edit that changes nothing is worth half, and surer than a good one.
            reward="gain",
            # The starters: what an expert reached, a policy that writes edits alone never meets.
            first_steps=1,
            episode_steps=3,
            max_tokens=192,
            # Hotter than it is measured: what is learned from more different actions carries over.
            grpo=GRPOConfig(lr=1e-4, temperature=0.7),
            ppo=PPOConfig(lr=1e-4, temperature=0.7),
        ),
        evaluation=EvalConfig(attempts_per_task=3, steps=3, temperature=0.5, max_tokens=192),
    )


def laptop() -> Recipe:
    """More and broader practice, in scripts that were not imitated, and tighter intervals."""
    quick = quickstart()
    train_tasks = _tasks("train")
    by_domain = sorted(train_tasks, key=lambda name: find_package(name).card.domain)
    # Of every domain half. In scripts that it has imitated a policy repeats what it imitated: there
    # practice teaches little that is of use in new ones.
    imitated, practised = by_domain[::2], by_domain[1::2]
    return replace(
        quick,
        name="laptop",
        train_tasks=train_tasks,
        held_out_tasks=_tasks("held-out"),
        practise_tasks=tuple(practised),
        # What helped most, on each starter as it is and written in other ways: a policy that has
        # seen few scripts alone writes into a new one what stood in those. What is practised on is
        # told in so many that none comes often: else it learns what to do in each by heart.
        collect=replace(quick.collect, retold=4, retold_best=4, retold_practised=12),
        imitate_states=5 * len(imitated),
        imitate_answers=3,
        sft=replace(quick.sft, epochs=2),
        rl=replace(
            quick.rl,
            updates=30,
            states=9,
            # Short steps, each of which sees what the one before has moved: one long one also moves
            # what was all but certain and has no gradient of its own.
            grpo=replace(quick.rl.grpo, kl=0.01, minibatches=3),
        ),
        # As hot as it practised.
        evaluation=replace(quick.evaluation, attempts_per_task=4, temperature=0.7),
    )


def paper_7b() -> Recipe:
    """The paper's hyper-parameters for Qwen2.5-7B, as a record to check with `--dry-run`.

    Nothing here runs it: learner, reference, momenta and sampler take about 170 GB on one device.

    Deviations: the embedded tasks, their budget of 8 steps in collection, and the playbook instead
    of the paper's nine tasks, 15 steps and GPT-4o-mini; six actions, and the policy writes edits
    itself in the place of a coder; a critic that is a head on the policy, with another learning
    rate than the paper's.
    """
    return Recipe(
        name="paper_7b",
        model="Qwen/Qwen2.5-7B",
        weights="full",
        train_tasks=_tasks("train"),
        held_out_tasks=_tasks("held-out"),
        style="paper",
        actions=PAPER_ACTIONS,
        workers=8,
        # Some 10,000 in all, as there.
        collect=CollectConfig(attempts_per_task=10_000 // len(_tasks("train")), ideas_per_axis=10),
        sft=SFTConfig(lr=2e-5, epochs=2, batch=64, max_tokens=15_000),
        rl=StepwiseConfig(
            updates=39,
            states=256,
            actions=1,
            episode_steps=15,
            max_tokens=1024,
            algorithm="ppo",
            ppo=PPOConfig(lr=1e-6, kl=0.001),
        ),
        evaluation=EvalConfig(attempts_per_task=8, steps=15, max_tokens=1024),
    )


RECIPES: dict[str, Callable[[], Recipe]] = {
    "quickstart": quickstart,
    "laptop": laptop,
    "paper_7b": paper_7b,
}


def recipe_named(name: str, changes: Sequence[str] = ()) -> Recipe:
    """A recipe by name, with `KEY=VALUE` changes such as `rl.updates=20`.

    Raises:
        UsageError: There is no such recipe or key, or a value has the wrong type.
    """
    if name not in RECIPES:
        raise UsageError(f"there is no recipe {name!r}; choose one of {', '.join(RECIPES)}")
    recipe = with_changes(RECIPES[name](), changes)
    _refuse_half_an_expert(recipe)
    return recipe


def recipe_from(config: Mapping[str, Any]) -> Recipe:
    """The recipe that stands in a run's config.json; what else stands there is passed over.

    Raises:
        UsageError: It is of another version, or contradicts itself.
    """
    known = {one.name for one in fields(Recipe)}
    try:
        built = _built(Recipe, {name: value for name, value in config.items() if name in known})
        return typing.cast(Recipe, built)
    except (TypeError, KeyError) as error:
        raise UsageError(
            f"its config.json is no recipe of this version of ml-agent ({error}). Train the policy "
            "anew, or use the version that trained it"
        ) from error


def with_changes(recipe: Recipe, changes: Sequence[str]) -> Recipe:
    """A recipe with `KEY=VALUE` changes such as `rl.updates=20`.

    Raises:
        UsageError: There is no such key, a value has the wrong type, or what comes of it cannot
            work.
    """
    given = asdict(recipe)
    for change in changes:
        key, separator, value = change.partition("=")
        if not separator:
            raise UsageError(f"--set {change!r} is not KEY=VALUE, e.g. rl.updates=20")
        _change(Recipe, given, key.split("."), value, key)
    # Checked when all are there: two that need each other can be given in any order.
    changed = typing.cast(Recipe, _built(Recipe, given))
    _refuse_trained_and_held_out(changed)
    _refuse_nothing_to_imitate(changed)
    return changed


def _built(kind: Any, given: Mapping[str, Any]) -> Any:
    """A dataclass from what `asdict` and JSON have made of one."""
    hints = typing.get_type_hints(kind)
    built = {
        name: _built(hints[name], value)
        if isinstance(value, dict)
        else (tuple(value) if isinstance(value, list) else value)
        for name, value in given.items()
    }
    return kind(**built)


def _refuse_half_an_expert(recipe: Recipe) -> None:
    """What several changes together make; one after the other, they pass through anything."""
    expert = recipe.expert
    if bool(expert.url) != bool(expert.model):
        raise UsageError(
            "an expert is an address and a model's name: give both --expert URL and "
            "--expert-model NAME, or none"
        )
    if recipe.ideas.per_axis and not expert.url:
        raise UsageError(
            "ideas by a language model need one: give --expert URL --expert-model NAME, or leave "
            "out --ideas to play with the playbook's"
        )
    wanting = sorted(NEEDS_CODER & set(recipe.actions))
    if wanting and not expert.url:
        raise UsageError(
            f"{', '.join(wanting)} needs a coder, and there is none. Give an endpoint with "
            "--expert URL --expert-model NAME, or take it out of actions."
        )


def _refuse_nothing_to_imitate(recipe: Recipe) -> None:
    """Who names other training tasks has to say which of these are practised."""
    if not recipe.practise_tasks:
        return
    trained = {find_package(name).card.id for name in recipe.train_tasks}
    if strange := sorted(set(recipe.practise_tasks) - trained):
        raise UsageError(
            f"practise_tasks names {', '.join(strange)}, which is no training task here. Give ids "
            "of some of train_tasks, or none with --set practise_tasks= to imitate and practise "
            "on all"
        )
    if trained == set(recipe.practise_tasks):
        raise UsageError(
            "practise_tasks holds all training tasks, so there is none to imitate. Leave some out"
        )


def _refuse_trained_and_held_out(recipe: Recipe) -> None:
    """By their ids: a task may be named by a folder too."""
    trained, held_out = (
        {find_package(name).card.id for name in names}
        for names in (recipe.train_tasks, recipe.held_out_tasks)
    )
    if both := sorted(trained & held_out):
        raise UsageError(f"{', '.join(both)}: a task cannot be trained on and held out")


def _change(kind: Any, given: dict[str, Any], path: list[str], value: str, key: str) -> None:
    """Change one figure of a configuration of this kind, however deep it lies."""
    if path[0] not in given:
        raise UsageError(
            f"--set {key}: there is no {path[0]!r}; there are {', '.join(sorted(given))}"
        )
    wanted = typing.get_type_hints(kind)[path[0]]
    if len(path) > 1:
        if not is_dataclass(wanted):
            raise UsageError(f"--set {key}: {path[0]!r} has no parts")
        _change(wanted, given[path[0]], path[1:], value, key)
    elif is_dataclass(wanted):
        parts = ", ".join(given[path[0]])
        raise UsageError(f"--set {key}: choose one of its parts: {parts}")
    else:
        given[path[0]] = _parsed(wanted, value, key)


_KINDS = {
    int: "a whole number",
    float: "a number",
    bool: "true or false",
    type(None): "none",
}
"""What a value from the command line may fail to be; all other kinds take any text."""


def _parsed(wanted: Any, value: str, key: str) -> Any:
    """A value from the command line as the field's type."""
    kinds = typing.get_args(wanted) if isinstance(wanted, types.UnionType) else (wanted,)
    if type(None) in kinds and value.lower() == "none":
        return None
    for kind in kinds:
        try:
            if kind is bool:
                return {"true": True, "false": False}[value.lower()]
            if kind is int:
                return int(value)
            if kind is float:
                if math.isfinite(float(value)):
                    return float(value)
                continue
            if typing.get_origin(kind) is tuple:
                return tuple(part for part in value.split(",") if part)
        except (ValueError, KeyError):
            continue
        if kind is str or typing.get_origin(kind) is typing.Literal:
            return value
    wants = " or ".join(_KINDS[kind] for kind in kinds)
    raise UsageError(f"--set {key}={value}: this value does not fit: give {wants}")

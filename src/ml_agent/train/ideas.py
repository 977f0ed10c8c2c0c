"""Ideas by a language model: asked for a few at a time, each different one kept once.

Each task has a chain of requests on each axis (paper v2). A request tells what its chain has
already; it ends when there are enough, or when reply after reply brings nothing new. All chains ask
side by side, and what they have is told after every round, so that it can be kept.

Covered: replies of any shape (no list, prose, too long, cut off) are counted and asked again, a
bounded number of times in a row; an idea that says the same as another of its task, in the same
words or in others. Not covered: whether an idea is any good; experiments tell.
"""

import json
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ml_agent.core.base import Record
from ml_agent.core.errors import ModelError, UsageError
from ml_agent.core.records import SCHEMA, Axis, Completion, Idea, Message
from ml_agent.models import Sampling
from ml_agent.tasks import TaskPackage
from ml_agent.train.exploration import Embed, Vectors

if TYPE_CHECKING:
    from ml_agent.models.http import HttpModel

IN_VAIN_AT_MOST = 4
"""Replies in a row that bring nothing new, after which a chain is given up."""
LONGEST_IDEA = 300
"""Characters; what is longer is no idea but an essay, and would fill the problem text."""
_SHORTEST_WORDS = 2
_SCRIPT_CHARS = 8000
_TOLD_CHARS = 12_000
"""How much a request tells of what is there, the newest first."""
_ITEM = re.compile(r"^([ \t]*)(?:[-*•–]|\(?\d{1,3}[.):])\s+(\S.*)$", re.MULTILINE)
_ABOUT = {
    Axis.DATA: "the data: cleaning, features, encoding, scaling, augmentation, sampling",
    Axis.MODEL: "the model: its kind, its architecture, its size, ensembles of several",
    Axis.LEARNING: "the learning: loss, optimiser, schedule, regularisation, early stopping, "
    "the search for hyper-parameters",
}


@dataclass(frozen=True, kw_only=True)
class IdeaConfig:
    """How many ideas are asked for, and how."""

    per_axis: int = 0
    """Wanted on each axis of each task (the paper: at least 100 a task); 0: nobody is asked, and
    the ideas are the playbook's."""
    batch: int = 10
    """Asked for in one request."""
    too_close: float = 0.05
    """Cosine distance to an idea of the same task, below which it is the same idea again. Larger
    than that and ideas are lost that differ in a figure: two pairs of the playbook's lie nearer,
    nine lie nearer than 0.1."""
    temperature: float = 1.0
    max_tokens: int = 1024
    """Of one reply."""

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            UsageError: A figure makes no sense.
        """
        if self.per_axis < 0 or min(self.batch, self.max_tokens) < 1:
            raise UsageError(
                "ideas.per_axis starts at 0, ideas.batch and ideas.max_tokens start at 1"
            )
        if not (0 <= self.too_close < 1 and self.temperature >= 0):
            raise UsageError("ideas.too_close lies in [0, 1), ideas.temperature starts at 0")


class AxisIdeas(Record):
    """What one chain has brought so far."""

    ideas: tuple[Idea, ...] = ()
    replies: int = 0
    bad: int = 0
    """Replies that held no list."""
    repeated: int = 0
    """Ideas that were there already, in the same words or in others."""
    unfit: int = 0
    """Ideas that were too long to be one, or one word."""
    in_vain: int = 0
    """Replies in a row, up to the last, that brought nothing new."""


class TaskIdeas(Record):
    """A task's ideas by a language model, as they are kept."""

    schema_version: int = SCHEMA
    task: str
    model: str
    axes: dict[Axis, AxisIdeas]

    @property
    def ideas(self) -> tuple[Idea, ...]:
        """All of them, axis by axis."""
        return tuple(idea for axis in Axis for idea in self.axes[axis].ideas)

    def wanting(self, config: IdeaConfig) -> list[Axis]:
        """The axes that have fewer than were wanted because the model gave no new ones."""
        return [
            axis
            for axis in Axis
            if len(self.axes[axis].ideas) < config.per_axis and not self._is_open(axis, config)
        ]

    def open_axes(self, config: IdeaConfig) -> list[Axis]:
        """The axes on which there is more to be asked."""
        return [axis for axis in Axis if self._is_open(axis, config)]

    def _is_open(self, axis: Axis, config: IdeaConfig) -> bool:
        chain = self.axes[axis]
        return len(chain.ideas) < config.per_axis and chain.in_vain < IN_VAIN_AT_MOST


@dataclass(frozen=True)
class Reading:
    """What a reply holds."""

    ideas: tuple[str, ...]
    unfit: int = 0
    """Items that are no ideas: too long, or one word."""


def generate_ideas(
    packages: Sequence[TaskPackage],
    model: "HttpModel",
    config: IdeaConfig,
    *,
    embed: Embed,
    seed: int,
    kept: Mapping[str, TaskIdeas],
    on_round: Callable[[Sequence[TaskIdeas]], None] = lambda _: None,
) -> list[TaskIdeas]:
    """Ask until every axis of every task has enough ideas, or the model has no new ones.

    What was answered before is in the model's ledger: asked again, it costs nothing.

    Args:
        packages: The tasks. The model sees statement, metric and starter, nothing else of them.
        model: Who is asked.
        config: How much, and how.
        embed: What tells that two ideas are the same.
        seed: Of the requests.
        kept: What an earlier call had brought, by task.
        on_round: Told of the tasks that have changed, whenever all open chains have been answered
            once; whoever keeps them loses nothing.

    Raises:
        ModelError: No request of a round got an answer, or those of some chains got none again and
            again while the others went on.
        EndsRun: The budget is spent, or the endpoint refuses us.
    """
    fresh = {axis: AxisIdeas() for axis in Axis}
    pots = []
    for package in packages:
        name = package.card.id
        start = kept.get(name) or TaskIdeas(task=name, model=model.policy, axes=fresh)
        pots.append(_Pot(package, start, embed([idea.text for idea in start.ideas])))
    sampling = Sampling(temperature=config.temperature, max_tokens=config.max_tokens)
    lost: ModelError | None = None
    while chains := [(pot, axis) for pot in pots for axis in pot.open_axes(config)]:
        prompts = [pot.prompt(axis, config) for pot, axis in chains]
        seeds = [1000 * seed + pot.found.axes[axis].replies for pot, axis in chains]
        answers = model.sample_each(prompts, sampling, seeds=seeds)
        errors = [one for one in answers if isinstance(one, ModelError)]
        read = [
            (pot, axis, read_ideas(one))
            for (pot, axis), one in zip(chains, answers, strict=True)
            if not isinstance(one, ModelError)
        ]
        # One call: an encoder reads many sentences in little more time than one.
        vectors = iter(embed([text for _, _, reading in read for text in reading.ideas]))
        for pot, axis, reading in read:
            pot.take(axis, reading, [next(vectors) for _ in reading.ideas], config)
        if changed := {id(pot): pot.found for pot, _, _ in read}:
            on_round(list(changed.values()))
        if errors and not read:
            raise errors[0]
        for (pot, axis), one in zip(chains, answers, strict=True):
            if isinstance(one, ModelError):
                pot.missed[axis] += 1
                lost = one
    if lost is not None and any(pot.found.open_axes(config) for pot in pots):
        raise lost
    return [pot.found for pot in pots]


def read_ideas(completion: Completion) -> Reading:
    """The ideas in a reply: a JSON list of texts, or lines that begin with a dash or a number.

    Of lists within lists the outermost counts: what is further in explains it.
    The last one of a reply that was cut off is left out: it may be half of one.
    """
    items = _json_items(completion.text) or _listed(completion.text)
    if not completion.finished:
        items = items[:-1]
    texts = [" ".join(item.replace("**", "").strip().strip("\"'`,").split()) for item in items]
    fit = [
        text for text in texts if len(text) <= LONGEST_IDEA and len(text.split()) >= _SHORTEST_WORDS
    ]
    return Reading(tuple(fit), len(texts) - len(fit))


def plain(text: str) -> str:
    """A text's words alone, to compare by.

    Examples:
        >>> plain("Scale the inputs -- to [0, 1]!")
        'scale the inputs to 0 1'
    """
    return " ".join(re.findall(r"\w+", text.casefold()))


class _Pot:
    """A task's ideas under way: the only mutable thing here."""

    def __init__(self, package: TaskPackage, found: TaskIdeas, vectors_ND: Vectors) -> None:
        self.found = found
        self._package = package
        self.missed: Counter[Axis] = Counter()
        """Requests of this call that got no answer: none is asked for ever."""
        self._words = {plain(idea.text) for idea in found.ideas}
        self._vectors = [_unit(vector) for vector in vectors_ND]

    def open_axes(self, config: IdeaConfig) -> list[Axis]:
        """The axes on which there is more to be asked in this call."""
        known = self.found.open_axes(config)
        return [axis for axis in known if self.missed[axis] < IN_VAIN_AT_MOST]

    def prompt(self, axis: Axis, config: IdeaConfig) -> tuple[Message, ...]:
        """The next request of a chain."""
        card, have = self._package.card, self.found.axes[axis].ideas
        script = self._package.starter.decode(errors="replace")[:_SCRIPT_CHARS].rstrip()
        direction = "higher" if card.metric.higher_is_better else "lower"
        count = min(config.batch, config.per_axis - len(have))
        lines = [
            f"Task: {self._package.statement}",
            f"Metric: {card.metric.name}, {direction} is better.",
            f"The script as it stands:\n```python\n{script}\n```",
            f"Write {count} ideas to improve its score, all about {_ABOUT[axis]}.",
            "Each is one sentence of at most 30 words that tells an engineer what to change. No "
            "two are of the same kind.",
            'Answer with a list, one idea a line, each line beginning with "- ", and nothing else.',
        ]
        if have:
            lines.append("These are there already; neither repeat nor rephrase them:")
            lines += _newest([f"- {idea.text}" for idea in have])
        return (
            Message(
                role="system",
                text="You are a machine-learning engineer who knows many ways to improve a "
                "training script.",
            ),
            Message(role="user", text="\n".join(lines)),
        )

    def take(
        self, axis: Axis, reading: Reading, vectors: Sequence[Vectors], config: IdeaConfig
    ) -> None:
        """Add what is new in a reply, up to as many as are wanted."""
        chain = self.found.axes[axis]
        new: list[Idea] = []
        repeated = 0
        for text, vector in zip(reading.ideas, vectors, strict=True):
            number = len(chain.ideas) + len(new)
            if number == config.per_axis:
                break
            if not self._is_new(text, _unit(vector), config.too_close):
                repeated += 1
                continue
            self._words.add(plain(text))
            self._vectors.append(_unit(vector))
            domains = (self._package.card.domain,)
            name = f"{axis.value}-{number + 1:03d}"
            new.append(Idea(id=name, axis=axis, text=text, domains=domains))
        grown = AxisIdeas(
            ideas=(*chain.ideas, *new),
            replies=chain.replies + 1,
            bad=chain.bad + (not reading.ideas),
            repeated=chain.repeated + repeated,
            unfit=chain.unfit + reading.unfit,
            in_vain=0 if new else chain.in_vain + 1,
        )
        self.found = self.found.model_copy(update={"axes": {**self.found.axes, axis: grown}})

    def _is_new(self, text: str, vector_D: Vectors, too_close: float) -> bool:
        if plain(text) in self._words:
            return False
        nearest = max((float(vector_D @ one) for one in self._vectors), default=-1.0)
        return 1.0 - nearest >= too_close


def _newest(lines: Sequence[str]) -> list[str]:
    """The last lines that fit, in their order."""
    room, told = _TOLD_CHARS, []
    for line in reversed(lines):
        room -= len(line)
        if room < 0:
            break
        told.append(line)
    return told[::-1]


def _json_items(text: str) -> list[str]:
    begin, end = text.find("["), text.rfind("]")
    try:
        given = json.loads(text[begin : end + 1]) if 0 <= begin < end else None
    except (ValueError, RecursionError):
        return []
    if isinstance(given, list) and given and all(isinstance(one, str) for one in given):
        return given
    return []


def _listed(text: str) -> list[str]:
    items = [(len(indent.expandtabs()), item) for indent, item in _ITEM.findall(text)]
    outermost = min((indent for indent, _ in items), default=0)
    # A list within it stands two columns in at least; one column is how numbers are aligned.
    return [item for indent, item in items if indent <= outermost + 1]


def _unit(vector_D: Vectors) -> Vectors:
    length = float(np.linalg.norm(vector_D))
    return vector_D / length if length else vector_D

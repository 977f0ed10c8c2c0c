"""A play: an idea, and the edit that carries it out."""

from dataclasses import dataclass
from functools import partial

from ml_agent.agents.playbook.builders import Change
from ml_agent.core.records import Axis, Domain, Idea

TABULAR = (Domain.TABULAR_CLASSIFICATION, Domain.TABULAR_REGRESSION)
SIGNAL = (Domain.IMAGE, Domain.TIME_SERIES)
DENSE = (*TABULAR, *SIGNAL, Domain.GRAPH)
"""Kinds of task whose models are usually given dense matrices of numbers."""
TEXT = (Domain.TEXT,)
GRAPH = (Domain.GRAPH,)
ANY = tuple(Domain)
NUMBERS = (Domain.TABULAR_REGRESSION, Domain.TIME_SERIES)
"""Kinds of task that may ask for a number."""
LABELS = tuple(domain for domain in Domain if domain is not Domain.TABULAR_REGRESSION)
"""Kinds of task that may ask for a label."""


@dataclass(frozen=True, kw_only=True)
class Play:
    """An idea with its edit."""

    idea: Idea
    doing: str
    """The idea as it follows "I will"."""
    change: Change
    flawed: bool
    """Its code has a bug that people really write, so the script may crash; a repair is known."""


def play(
    axis: Axis,
    name: str,
    doing: str,
    domains: tuple[Domain, ...],
    change: Change,
    *,
    flawed: bool = False,
) -> Play:
    """Make a play whose idea's text is the sentence "Doing."."""
    text = f"{doing[0].upper()}{doing[1:]}."
    idea = Idea(id=f"{axis}-{name}", axis=axis, text=text, domains=domains)
    return Play(idea=idea, doing=doing, change=change, flawed=flawed)


data = partial(play, Axis.DATA)
modelling = partial(play, Axis.MODEL)
learning = partial(play, Axis.LEARNING)

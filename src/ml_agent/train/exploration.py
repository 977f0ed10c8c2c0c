"""Which ideas are worth trying: rules of diversity on their embeddings.

Both of the paper's rules, by name: `mean-distance` (arXiv 2505.23723 v1) and `fps`, farthest-point
sampling on each axis (v2). Distance is cosine distance, 1 - cos: the paper names none, and sentence
embeddings are made for it.

Letters: N embeddings, D their width.
"""

import random
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import numpy.typing as npt

from ml_agent.core.errors import UsageError
from ml_agent.core.records import Axis, Idea

Rule = Literal["mean-distance", "fps"]
Vectors = npt.NDArray[np.floating]
Embed = Callable[[Sequence[str]], Vectors]
"""Sentences to embeddings [N, D]."""

_DIGITS = 12
"""Distances are rounded to so many decimals: a tie must not be decided by rounding errors."""


def mean_distance_selection(embeddings_ND: Vectors, k: int = 10) -> list[int]:
    """The k embeddings whose mean distance to all others is largest (v1).

    Args:
        embeddings_ND: [N, D]; their lengths do not matter.
        k: How many; all N if there are fewer.

    Returns:
        Indices, the farthest first, ties to the lowest index.

    Raises:
        UsageError: It is no table of numbers, or k is below 1.
    """
    distance_NN = _cosine_distances(embeddings_ND, k)
    np.fill_diagonal(distance_NN, 0.0)
    mean_N = np.round(distance_NN.sum(axis=1) / max(len(distance_NN) - 1, 1), _DIGITS)
    return [int(i) for i in np.argsort(-mean_N, kind="stable")[:k]]


def farthest_point_selection(embeddings_ND: Vectors, k: int) -> list[int]:
    """Farthest-point sampling: each next one is the farthest from those already chosen (v2).

    It starts at the embedding nearest the centroid, so nothing is left to chance (the paper is
    silent). A distance to a set is that to its nearest member.

    Args:
        embeddings_ND: [N, D]; their lengths do not matter.
        k: How many; all N if there are fewer.

    Returns:
        Indices in the order of choice, ties to the lowest index.

    Raises:
        UsageError: It is no table of numbers, or k is below 1.
    """
    distance_NN = _cosine_distances(embeddings_ND, k)
    if not len(distance_NN):
        return []
    unit_ND = _unit(embeddings_ND)
    similarity_N = unit_ND @ unit_ND.mean(axis=0)
    chosen = [int(np.argmax(np.round(similarity_N, _DIGITS)))]
    nearest_N = distance_NN[chosen[0]].copy()
    while len(chosen) < min(k, len(distance_NN)):
        # Below any distance: what is chosen is never chosen again, even among equals.
        nearest_N[chosen] = -1.0
        chosen.append(int(np.argmax(nearest_N)))
        nearest_N = np.minimum(nearest_N, distance_NN[chosen[-1]])
    return chosen


def select_ideas(ideas: Sequence[Idea], embed: Embed, rule: Rule, k: int) -> list[Idea]:
    """The most diverse ideas.

    Args:
        ideas: The candidates.
        embed: How their texts are embedded.
        rule: `mean-distance` takes k of all; `fps` takes k on each axis.
        k: How many.

    Raises:
        UsageError: There is no such rule, or k is below 1.
    """
    if rule not in {"mean-distance", "fps"}:
        raise UsageError(f"there is no selection rule {rule!r}; choose mean-distance or fps")
    if not ideas:
        return []
    embeddings_ND = embed([idea.text for idea in ideas])
    if rule == "mean-distance":
        return [ideas[i] for i in mean_distance_selection(embeddings_ND, k)]
    selected = []
    for axis in Axis:
        own = [i for i, idea in enumerate(ideas) if idea.axis is axis]
        selected += [ideas[own[j]] for j in farthest_point_selection(embeddings_ND[own], k)]
    return selected


def remembered(embed: Embed) -> Embed:
    """The same embedding, asked once for each text: reading hundreds of ideas takes seconds."""
    known: dict[str, Vectors] = {}

    def recall(texts: Sequence[str]) -> Vectors:
        fresh = [text for text in dict.fromkeys(texts) if text not in known]
        if fresh:
            known.update(zip(fresh, embed(fresh), strict=True))
        return np.stack([known[text] for text in texts]) if texts else embed([])

    return recall


def idea_combinations(selected: Sequence[Idea], n: int, seed: int) -> list[tuple[Idea, ...]]:
    """Ideas for each of n trajectories: one of each of 1 to 3 axes, in random order (v2).

    An axis deals its ideas like a shuffled pack of cards, so that all are tried about equally
    often (deviation: the paper draws them independently).

    Raises:
        UsageError: There is no idea to choose from.
    """
    if not selected:
        raise UsageError("no ideas to combine; select at least one")
    chance = random.Random(seed)
    by_axis = [[idea for idea in selected if idea.axis is axis] for axis in Axis]
    packs = [ideas for ideas in by_axis if ideas]
    left: list[list[Idea]] = [[] for _ in packs]
    combinations = []
    for _ in range(n):
        axes = chance.sample(range(len(packs)), chance.randint(1, len(packs)))
        for axis in axes:
            left[axis] = left[axis] or chance.sample(packs[axis], len(packs[axis]))
        combinations.append(tuple(left[axis].pop() for axis in axes))
    return combinations


def _unit(embeddings_ND: Vectors) -> Vectors:
    length_N = np.linalg.norm(embeddings_ND, axis=1, keepdims=True)
    # A zero vector has no direction: it stays, at distance 1 from everything.
    return embeddings_ND / np.where(length_N == 0.0, 1.0, length_N)


def _cosine_distances(embeddings_ND: Vectors, k: int) -> Vectors:
    if embeddings_ND.ndim != 2 or not np.isfinite(embeddings_ND).all():
        raise UsageError(
            f"embeddings of shape {embeddings_ND.shape} cannot be compared: "
            "give one row of finite numbers per idea"
        )
    if k < 1:
        raise UsageError(f"{k} ideas cannot be selected; ask for at least 1")
    unit_ND = _unit(embeddings_ND)
    distance_NN: Vectors = np.round(1.0 - unit_ND @ unit_ND.T, _DIGITS)
    return distance_NN

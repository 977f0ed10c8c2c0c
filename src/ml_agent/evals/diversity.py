"""How diverse ideas are, and whether those that were chosen are more so: diversity.json and .html.

Distance is cosine distance, 1 - cos, as in the choice itself. A choice is compared with random ones
of as many ideas, drawn from all of the task's ideas whatever their axis.

Letters: N ideas, D the width of their embeddings.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from ml_agent.core.base import Record
from ml_agent.core.records import SCHEMA, Axis, Idea
from ml_agent.evals.tally import Tally, tally
from ml_agent.pages.charts import Spot, legend, scatter_chart
from ml_agent.pages.markup import Html, element, join
from ml_agent.pages.page import write_page
from ml_agent.pages.wording import UNKNOWN, percent
from ml_agent.store import write_json

Vectors = npt.NDArray[np.floating]
SUBSETS = 1000
_TIE = 1e-9
"""Distances closer than that are equal: rounding must not decide."""
_SHOWN = 24
"""Words a page lists."""
_COLOURS = {Axis.DATA: 1, Axis.MODEL: 2, Axis.LEARNING: 3}


class Place(Record):
    """An idea on the map."""

    axis: Axis
    text: str
    x: float
    y: float
    chosen: bool


class Diversity(Record):
    """How diverse a task's ideas are."""

    task: str
    ideas: int
    chosen: int
    apart: float | None
    """Mean distance between two of the chosen; None: there are not two."""
    random_mean: float | None
    """The same of random choices: its mean over `SUBSETS` of them, its standard deviation, the
    largest. None: there are not two, or all ideas were chosen and no choice is another."""
    random_sd: float | None
    random_best: float | None
    beaten: float | None
    """Share of the random choices that lie closer together than the chosen."""
    shown: float
    """Share of the ideas' variance that the map's two directions hold."""
    places: tuple[Place, ...]
    idea_words: Tally
    edit_words: Tally
    """Of the instructions the expert has written for its coder so far."""


class Diversities(Record):
    """diversity.json."""

    schema_version: int = SCHEMA
    rule: str
    subsets: int = SUBSETS
    tasks: tuple[Diversity, ...]


def measure_diversity(
    task: str,
    ideas: Sequence[Idea],
    embeddings_ND: Vectors,
    chosen: Sequence[int],
    *,
    instructions: Sequence[str] = (),
    seed: int = 0,
) -> Diversity:
    """Compare what was chosen with what chance would have chosen.

    Args:
        task: Whose ideas they are.
        ideas: All of them.
        embeddings_ND: Theirs, in the same order; lengths do not matter.
        chosen: Indices.
        instructions: What was asked of a coder, for the tally of words.
        seed: Of the random choices.
    """
    # In double precision: a choice must not beat another by rounding.
    unit_ND = _unit(np.asarray(embeddings_ND, dtype=np.float64))
    apart = mean_distance(unit_ND[list(chosen)])
    chance = np.random.default_rng(seed)
    random = [
        mean_distance(unit_ND[chance.permutation(len(ideas))[: len(chosen)]])
        for _ in range(SUBSETS)
    ]
    others = np.array([one for one in random if one is not None])
    known = apart is not None and len(chosen) < len(ideas)
    spots_N2, shown = flat_map(unit_ND)
    marked = set(chosen)
    return Diversity(
        task=task,
        ideas=len(ideas),
        chosen=len(chosen),
        apart=apart,
        random_mean=float(others.mean()) if known else None,
        random_sd=float(others.std()) if known else None,
        random_best=float(others.max()) if known else None,
        beaten=float((others < (apart or 0.0) - _TIE).mean()) if known else None,
        shown=shown,
        places=tuple(
            Place(axis=idea.axis, text=idea.text, x=float(x), y=float(y), chosen=i in marked)
            for i, (idea, (x, y)) in enumerate(zip(ideas, spots_N2, strict=True))
        ),
        idea_words=tally([idea.text for idea in ideas]),
        edit_words=tally(instructions),
    )


def mean_distance(unit_ND: Vectors) -> float | None:
    """Mean cosine distance over all pairs of rows; None: there is no pair.

    By |sum u|^2 = sum |u|^2 + 2 sum_{i<j} u_i u_j, so that a thousand subsets cost little.

    Args:
        unit_ND: Rows of length one, or zero: such a row is at distance 1 from every other.
    """
    count = len(unit_ND)
    if count < 2:
        return None
    twice = float(np.square(unit_ND.sum(axis=0)).sum() - np.square(unit_ND).sum())
    return 1.0 - twice / (count * (count - 1))


def flat_map(points_ND: Vectors) -> tuple[Vectors, float]:
    """The two directions in which points differ most (principal components).

    Returns:
        [N, 2] places, and the share of the variance they show. The sign of a direction, which is
        arbitrary, is such that its farthest point is at the positive end.
    """
    spots_N2 = np.zeros((len(points_ND), 2))
    if len(points_ND) < 2:
        return spots_N2, 1.0
    centred_ND = points_ND - points_ND.mean(axis=0)
    left_NK, sizes_K, _ = np.linalg.svd(centred_ND, full_matrices=False)
    kept_NK = (left_NK * sizes_K)[:, :2]
    farthest = np.abs(kept_NK).argmax(axis=0)
    signs = np.sign(kept_NK[farthest, range(kept_NK.shape[1])])
    spots_N2[:, : kept_NK.shape[1]] = kept_NK * np.where(signs == 0, 1.0, signs)
    total = float(np.square(sizes_K).sum())
    return spots_N2, float(np.square(sizes_K[:2]).sum()) / total if total else 1.0


def write_diversity(run_folder: Path, found: Diversities) -> Path:
    """Write diversity.json and diversity.html, and return the page's path.

    Raises:
        StoreError: One cannot be written.
        DiskFull: No space is left.
    """
    write_json(run_folder / "diversity.json", found.model_dump(mode="json"))
    title = f"Ideas of run {run_folder.name}"
    parts = [element("h1", title), _how_to_read(found)]
    parts += [part for one in found.tasks for part in _task(one)]
    return write_page(run_folder / "diversity.html", title, join(tuple(parts)))


def comparison(one: Diversity) -> str:
    """What came of the comparison, in a sentence."""
    if one.apart is None:
        return f"{one.chosen} of {one.ideas} ideas were chosen: too few to be compared."
    if one.beaten is None:
        return (
            f"All {one.ideas} ideas were chosen, {one.apart:.3f} apart on average: there is no "
            "other choice to compare with. A smaller collect.ideas_per_axis chooses among them."
        )
    return (
        f"The {one.chosen} chosen of {one.ideas} ideas are {one.apart:.3f} apart on average; "
        f"{SUBSETS:,} random choices of as many are {one.random_mean:.3f} apart (standard "
        f"deviation {one.random_sd:.3f}, at most {one.random_best:.3f}). The chosen are more "
        f"diverse than {percent(one.beaten)} of them."
    )


def _how_to_read(found: Diversities) -> Html:
    return element(
        "p",
        f"Chosen by {found.rule}. Distance is cosine distance between the ideas' embeddings: 0 is "
        "the same, 1 has nothing in common. Each map shows the two directions in which a task's "
        "ideas differ most; what lies apart there is apart, what lies together need not be alike. "
        "Verbs and nouns are counted by rules: a verb begins a sentence, a noun is the last word "
        "before a short word, a number or a comma.",
        class_="muted",
    )


def _task(one: Diversity) -> list[Html]:
    spots = [
        Spot(x=p.x, y=p.y, tip=p.text, colour=_COLOURS[p.axis], strong=p.chosen)
        for p in sorted(one.places, key=lambda place: place.chosen)
    ]
    if not spots:
        return [element("h2", one.task), element("p", "There are no ideas.", class_="absent")]
    drawn = [
        element("h3", f"Ideas for {one.task}"),
        legend([(axis.value, colour) for axis, colour in _COLOURS.items()]),
        scatter_chart(spots, title=f"Map of the ideas for {one.task}"),
        element(
            "figcaption",
            f"{percent(one.shown)} of the variance. Large dots are the chosen ideas.",
        ),
    ]
    return [
        element("h2", one.task),
        element("p", comparison(one), class_="finding"),
        element("figure", *drawn),
        *_words("of the ideas", one.idea_words),
        *_words("of the edit instructions", one.edit_words),
    ]


def _words(whose: str, found: Tally) -> list[Html]:
    if not found.texts:
        return [element("p", f"Words {whose}: there are none yet.", class_="muted")]
    return [
        element("p", f"{len(words)} different {kind} {whose} ({found.texts:,}): ", _first(words))
        for kind, words in (("verbs", found.verbs), ("nouns", found.nouns))
    ]


def _first(words: dict[str, int]) -> str:
    named = [f"{word} {count:,}" for word, count in list(words.items())[:_SHOWN]]
    return (", ".join(named) or UNKNOWN) + (", ..." if len(words) > _SHOWN else "")


def _unit(embeddings_ND: Vectors) -> Vectors:
    length_N1 = np.linalg.norm(embeddings_ND, axis=1, keepdims=True)
    return embeddings_ND / np.where(length_N1 == 0.0, 1.0, length_N1)

"""The attempts of a solve on its page: a drawing of which script came of which, and a list."""

from collections.abc import Mapping, Sequence

from ml_agent.pages.blocks import absent, count
from ml_agent.pages.histories import Node, tree_chart
from ml_agent.pages.markup import Html, element
from ml_agent.pages.wording import UNKNOWN, figure
from ml_agent.solve.attempts import ROOT, Tried
from ml_agent.solve.report import Outcome

_DRAWN_AT_MOST = 2000
"""Attempts in the drawing; the list has all."""


def attempts_section(outcome: Outcome, attempts: Sequence[Tried]) -> list[Html]:
    """The section of the attempts, in order."""
    parts = [element("h2", "Attempts")]
    if not attempts:
        return [*parts, absent("Nothing was tried.")]
    about = (
        "Each dot is an attempt, as high as the best score of its scripts, and joined to the "
        "attempt whose script it began with. The bold line is the way to the best script. Hollow "
        "dots got no score, or one too bad to be drawn to scale."
    )
    title = f"Attempts by validation {outcome.metric.name}"
    nodes = [Node(number=ROOT, parent=None, value=outcome.starter, tip="first script", strong=True)]
    nodes += [
        Node(
            number=one.number,
            parent=one.start if one.start >= ROOT else None,
            value=one.score,
            tip=_told(one),
            strong=one.leads,
        )
        for one in attempts[:_DRAWN_AT_MOST]
    ]
    chart = tree_chart(
        nodes, sign=outcome.metric.sign, title=title, x_label="attempts, in the order they began"
    )
    better = "higher is better" if outcome.metric.higher_is_better else "lower is better"
    drawn = element(
        "figure",
        element("h3", f"{title} ({better})"),
        chart,
        element("figcaption", about),
    )
    below: dict[int, list[Tried]] = {}
    for one in attempts:
        below.setdefault(one.start, []).append(one)
    roots = sorted({start for start in below if start <= ROOT}, reverse=True)
    listed = [_root(start, below, outcome) for start in roots]
    whole = element(
        "details",
        element("summary", element("b", f"All {count(len(attempts), 'attempt')} as a list")),
        element("ul", *listed, class_="tree"),
    )
    return [*parts, drawn, whole]


def _root(start: int, below: Mapping[int, Sequence[Tried]], outcome: Outcome) -> Html:
    told = (
        f"first script, {outcome.metric.name} {figure(outcome.starter)}"
        if start == ROOT
        else "a script that no attempt had written, such as one of yours that did not run"
    )
    return element("li", element("b", told), _branches(start, below))


def _branches(start: int, below: Mapping[int, Sequence[Tried]]) -> Html:
    """What began with a script: what led on by itself, all else folded away."""
    children = below.get(start, ())
    if not children:
        return Html("")
    led = [one for one in children if one.number in below or one.came == "best so far"]
    rest = [one for one in children if one not in led]
    listed = [element("li", *_line(one), _branches(one.number, below)) for one in led]
    if rest:
        folded = [element("li", *_line(one)) for one in rest]
        said = f"{count(len(rest), 'attempt')} that led nowhere"
        listed.append(
            element("li", element("details", element("summary", said), element("ul", *folded)))
        )
    return element("ul", *listed)


def _line(one: Tried) -> tuple[Html, ...]:
    tone = {"best so far": "good", "no score": "bad", "our failure": "bad"}.get(one.came, "plain")
    score = "" if one.score is None else f"{figure(one.score)} "
    return (
        element("b", f"{one.number} "),
        element("span", f"{score}{one.came}", class_=f"chip {tone}"),
        element("span", f" {'; '.join(one.why)}"),
    )


def _told(one: Tried) -> str:
    score = UNKNOWN if one.score is None else figure(one.score)
    return f"attempt {one.number}: {score}, {one.came}. {'; '.join(one.why)}"

"""Two charts of a search as inline SVG: its best score so far, and which script came of which."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from ml_agent.pages.drawing import (
    Scale,
    circle,
    h_line,
    label,
    path,
    svg,
    tick_label,
    ticks,
    v_line,
)
from ml_agent.pages.markup import Html, element

_WIDTH, _LEFT, _RIGHT, _TOP, _BOTTOM = 640, 72, 20, 14, 44


@dataclass(frozen=True, kw_only=True)
class Moment:
    """A value from some point of the x axis on, and its interval if it has one."""

    x: float
    value: float
    low: float | None = None
    high: float | None = None
    tip: str = ""
    colour: int = 1


@dataclass(frozen=True, kw_only=True)
class Node:
    """One thing that came of another."""

    number: int
    """Its place on the x axis, and its name."""
    parent: int | None
    """None: it came of nothing."""
    value: float | None
    """None: it has none; it is drawn below the axis."""
    tip: str = ""
    strong: bool = False


def step_chart(
    moments: Sequence[Moment],
    *,
    until: float,
    beside: Sequence[Moment] = (),
    title: str,
    x_label: str,
) -> Html:
    """A value that changes at moments and stays in between, with the intervals of each.

    Args:
        moments: In order of x, one at least; the line goes through them.
        until: Where the line ends.
        beside: Further values, drawn without a line a little to the right of their place.
        title: What is shown; names the chart for screen readers.
        x_label: What the x axis counts.
    """
    height = 300
    reach = [value for one in (*moments, *beside) for value in _reach(one)]
    y_ticks = ticks(min(reach), max(reach))
    first, last = moments[0].x, max(until, moments[-1].x)
    x_ticks = ticks(first, last, whole=True)
    y = Scale(y_ticks[0], y_ticks[-1], height - _BOTTOM, _TOP)
    x = Scale(first, max(last, first + 1), _LEFT + 14, _WIDTH - _RIGHT - 14)
    drawn = _axes(x, y, x_ticks, y_ticks, height, x_label)
    corners: list[tuple[float, float]] = []
    for one in moments:
        corners += [(one.x, corners[-1][1])] if corners else []
        corners.append((one.x, one.value))
    corners.append((last, moments[-1].value))
    drawn.append(path(corners, x, y, f"line s{moments[-1].colour}"))
    drawn += [_whiskered(one, x(one.x), y) for one in moments]
    drawn += [_whiskered(one, x(one.x) + 9, y) for one in beside]
    return svg(_WIDTH, height, title, drawn)


def tree_chart(nodes: Sequence[Node], *, sign: int, title: str, x_label: str) -> Html:
    """Things in the order they came, as high as their value, each joined to what it came of.

    Values much worse than the first one's stand at the axis's end: one that is a thousand times
    worse must not flatten the others.

    Args:
        nodes: In order of their numbers; the first has a value.
        sign: +1 where higher values are better, else -1.
        title: What is shown; names the chart for screen readers.
        x_label: What the x axis counts.
    """
    band = 34
    height = 340
    floor = height - _BOTTOM - band
    y_ticks = ticks(*_worth_showing(nodes, sign))
    y = Scale(y_ticks[0], y_ticks[-1], floor, _TOP)
    last = nodes[-1].number
    x_ticks = ticks(0, last, whole=True)
    x = Scale(0, max(last, 1), _LEFT + 14, _WIDTH - _RIGHT - 8)
    drawn = _axes(x, y, x_ticks, y_ticks, height, x_label)
    drawn.append(h_line(_LEFT, _WIDTH - _RIGHT, floor + band, "grid"))
    drawn.append(label(_LEFT - 8, floor + band / 2 + 8, "no score", anchor="end", class_="muted"))
    places = {one.number: (x(one.number), _height(one, y, floor + band / 2 + 4)) for one in nodes}
    # What matters is drawn last, so it lies above.
    ranked = sorted(nodes, key=lambda one: one.strong)
    drawn += [_joined(one, places) for one in ranked if one.parent in places]
    drawn += [_spot(one, places[one.number], y_ticks) for one in ranked]
    return svg(_WIDTH, height, title, drawn)


def _axes(
    x: Scale,
    y: Scale,
    x_ticks: Sequence[float],
    y_ticks: Sequence[float],
    height: float,
    x_label: str,
) -> list[Html]:
    drawn = [h_line(_LEFT, _WIDTH - _RIGHT, y(tick), "grid") for tick in y_ticks]
    drawn += [
        label(_LEFT - 8, y(tick) + 4, tick_label(tick, y_ticks), anchor="end") for tick in y_ticks
    ]
    shown = [tick for tick in x_ticks if x.low <= tick <= x.high]
    drawn += [label(x(tick), height - _BOTTOM + 18, tick_label(tick, x_ticks)) for tick in shown]
    middle = (_LEFT + _WIDTH - _RIGHT) / 2
    drawn.append(label(middle, height - 6, x_label, class_="muted"))
    return drawn


def _whiskered(one: Moment, x: float, y: Scale) -> Html:
    drawn = []
    if one.low is not None and one.high is not None:
        drawn.append(v_line(x, y(one.low), y(one.high), f"whisker s{one.colour}"))
        drawn += [
            h_line(x - 4, x + 4, y(end), f"whisker s{one.colour}") for end in (one.low, one.high)
        ]
    return element("g", *drawn, circle(x, y(one.value), 4.5, f"f{one.colour}", one.tip))


def _reach(one: Moment) -> Iterator[float]:
    yield one.value
    if one.low is not None and one.high is not None:
        yield from (one.low, one.high)


def _worth_showing(nodes: Sequence[Node], sign: int) -> tuple[float, float]:
    """From the best value to as much worse than the first as that is better, or most values are."""
    values = sorted(one.value for one in nodes if one.value is not None)
    first = next(one.value for one in nodes if one.value is not None)
    best = values[-1] if sign > 0 else values[0]
    apart = sorted(abs(value - first) for value in values)
    worst = first - sign * max(abs(best - first), apart[len(apart) // 2])
    return min(best, worst), max(best, worst)


def _height(one: Node, y: Scale, band: float) -> float:
    if one.value is None:
        return band
    return y(min(max(one.value, y.low), y.high))


def _joined(one: Node, places: dict[int, tuple[float, float]]) -> Html:
    (x1, y1), (x2, y2) = places[one.parent or 0], places[one.number]
    class_ = "line s1" if one.strong else "twig"
    return element("line", x1=x1, y1=y1, x2=x2, y2=y2, class_=class_)


def _spot(one: Node, place: tuple[float, float], y_ticks: Sequence[float]) -> Html:
    outside = one.value is not None and not y_ticks[0] <= one.value <= y_ticks[-1]
    if one.strong:
        return circle(*place, 5.5, "f1", one.tip)
    return circle(*place, 3.5, "hollow s0" if outside or one.value is None else "f0", one.tip)

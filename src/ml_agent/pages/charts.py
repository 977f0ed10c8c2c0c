"""Three charts as inline SVG: lines over updates, dots with intervals, and a map of spots."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ml_agent.pages.drawing import (
    CHARACTER,
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


@dataclass(frozen=True, kw_only=True)
class Series:
    """One line: (x, y) in order of x. Points whose y is not finite leave a gap."""

    name: str
    points: Sequence[tuple[float, float]]
    colour: int = 0


@dataclass(frozen=True, kw_only=True)
class Mark:
    """One dot, its interval if it has one, and the single values behind it."""

    value: float
    low: float | None = None
    high: float | None = None
    singles: Sequence[float] = ()
    colour: int = 0


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a dot chart."""

    label: str
    marks: Sequence[Mark]
    note: str = ""
    """Printed at the right."""


@dataclass(frozen=True, kw_only=True)
class Spot:
    """One thing on a map."""

    x: float
    y: float
    tip: str
    colour: int = 0
    strong: bool = False
    """Drawn large; the others are faint."""


def line_chart(
    series: Sequence[Series],
    *,
    title: str,
    x_label: str = "update",
    bounds: tuple[float, float] | None = None,
) -> Html:
    """Lines over a common x axis; from 20 points on, a bold running mean over faint values.

    Args:
        series: At least one of them with a point.
        title: What is measured; names the chart for screen readers too.
        x_label: What the x axis counts.
        bounds: Ends of the y axis; None fits them to the data.
    """
    width, height, left, right, top, bottom = 520, 230, 52, 12, 14, 40
    found = [point for one in series for point in one.points if math.isfinite(point[1])]
    y_ticks = ticks(*(bounds or (min(y for _, y in found), max(y for _, y in found))))
    first, last = min(x for x, _ in found), max(x for x, _ in found)
    x_ticks = ticks(first, last, whole=True)
    x = Scale(first, last if last > first else first + 1, left, width - right)
    y = Scale(y_ticks[0], y_ticks[-1], height - bottom, top)
    grid = [h_line(left, width - right, y(tick), "grid") for tick in y_ticks]
    grid += [
        label(left - 8, y(tick) + 4, tick_label(tick, y_ticks), anchor="end") for tick in y_ticks
    ]
    shown = [tick for tick in x_ticks if x.low <= tick <= x.high]
    grid += [label(x(tick), height - bottom + 18, tick_label(tick, x_ticks)) for tick in shown]
    grid.append(label((left + width - right) / 2, height - 6, x_label, class_="muted"))
    lines = [_line(one, x, y) for one in series]
    return svg(width, height, title, grid + lines)


def dot_chart(
    rows: Sequence[Row],
    *,
    title: str,
    x_label: str,
    guides: Sequence[tuple[float, str]] = (),
) -> Html:
    """A row for each label, its dots and intervals on a common x axis.

    Args:
        rows: From top to bottom.
        title: What is shown; names the chart for screen readers.
        x_label: What the x axis measures.
        guides: Values marked by a named vertical line; the axis always reaches them.
    """
    left = 16 + CHARACTER * max(len(row.label) for row in rows)
    right = 44 + CHARACTER * max(len(row.note) for row in rows)
    top, bottom, lane, gap = 26, 44, 15, 16
    width = 760
    height = top + sum(gap + lane * max(1, len(row.marks)) for row in rows) + bottom
    marks = [mark for row in rows for mark in row.marks]
    reach = [value for mark in marks for value in _reach(mark)] + [value for value, _ in guides]
    x_ticks = ticks(min(reach), max(reach))
    x = Scale(x_ticks[0], x_ticks[-1], left, width - right)
    floor = height - bottom
    drawn = [v_line(x(tick), top, floor, "grid") for tick in x_ticks]
    drawn += [label(x(tick), floor + 18, tick_label(tick, x_ticks)) for tick in x_ticks]
    drawn.append(label(x((x_ticks[0] + x_ticks[-1]) / 2), height - 8, x_label, class_="muted"))
    for value, name in guides:
        drawn += [v_line(x(value), top, floor, "guide"), label(x(value), top - 10, name)]
    at = float(top)
    for row in rows:
        deep = gap + lane * max(1, len(row.marks))
        drawn.append(label(left - 12, at + deep / 2 + 4, row.label, anchor="end"))
        drawn.append(label(width - 4, at + deep / 2 + 4, row.note, anchor="end"))
        for lane_number, mark in enumerate(row.marks):
            drawn.append(_dots(mark, x, at + (gap + lane) / 2 + lane * lane_number))
        at += deep
        drawn.append(h_line(left, width - right, at, "grid"))
    return svg(width, height, title, drawn)


def scatter_chart(spots: Sequence[Spot], *, title: str) -> Html:
    """A map whose directions have no unit, so no ticks: only where things lie to each other.

    Args:
        spots: At least one, drawn in order; later ones lie above.
        title: What is shown; names the chart for screen readers.
    """
    width, height, room = 760, 460, 16
    # One scale for both directions: what is as far apart is drawn so.
    across, along = (_middle([getattr(one, axis) for one in spots]) for axis in ("x", "y"))
    reach = max(1e-9, across[1] / (width / 2 - room), along[1] / (height / 2 - room))
    drawn = [
        h_line(0, width, height / 2, "grid"),
        v_line(width / 2, 0, height, "grid"),
        *(
            circle(
                round(width / 2 + (one.x - across[0]) / reach, 2),
                round(height / 2 - (one.y - along[0]) / reach, 2),
                6 if one.strong else 3.5,
                f"f{one.colour}" + ("" if one.strong else " faint"),
                one.tip,
            )
            for one in spots
        ),
    ]
    return svg(width, height, title, drawn)


def legend(names: Sequence[tuple[str, int]]) -> Html:
    """Which colour is whose: (name, colour) in the order of drawing."""
    entries = [
        element("span", element("i", class_=f"swatch b{colour}"), name) for name, colour in names
    ]
    return element("p", *entries, class_="legend")


def running_mean(values: Sequence[float], reach: int) -> list[float]:
    """Mean of each value and its neighbours, up to `reach` on either side.

    Centred, because a mean that only looks back lags behind a rising curve.
    """
    parts = [values[max(0, at - reach) : at + reach + 1] for at in range(len(values))]
    return [sum(part) / len(part) for part in parts]


def _middle(values: Sequence[float]) -> tuple[float, float]:
    """The middle of what values span, and how far they reach from there."""
    return (min(values) + max(values)) / 2, (max(values) - min(values)) / 2


def _line(one: Series, x: Scale, y: Scale) -> Html:
    finite = [(at, value) for at, value in one.points if math.isfinite(value)]
    many = len(finite) >= 20
    drawn = [path(one.points, x, y, f"line s{one.colour}" + (" faint" if many else ""))]
    if many:
        means = running_mean([value for _, value in finite], max(2, len(finite) // 20))
        smooth = [(at, mean) for (at, _), mean in zip(finite, means, strict=True)]
        drawn.append(path(smooth, x, y, f"line s{one.colour}"))
    else:
        drawn += [
            circle(x(at), y(value), 2.5, f"f{one.colour}", f"{one.name}: {value:.4g} at {at:g}")
            for at, value in finite
        ]
    return element("g", *drawn)


def _dots(mark: Mark, x: Scale, y: float) -> Html:
    drawn = [circle(x(value), y, 2.5, f"f{mark.colour} faint") for value in mark.singles]
    tip = f"{mark.value:+.3g}"
    if mark.low is not None and mark.high is not None:
        tip += f" [{mark.low:+.3g}, {mark.high:+.3g}]"
        drawn.append(h_line(x(mark.low), x(mark.high), y, f"whisker s{mark.colour}"))
        drawn += [
            v_line(x(end), y - 5, y + 5, f"whisker s{mark.colour}") for end in (mark.low, mark.high)
        ]
    drawn.append(circle(x(mark.value), y, 5, f"f{mark.colour}", tip))
    return element("g", *drawn)


def _reach(mark: Mark) -> list[float]:
    ends = [end for end in (mark.low, mark.high) if end is not None]
    return [mark.value, *ends, *mark.singles]

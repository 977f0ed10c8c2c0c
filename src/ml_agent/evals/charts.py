"""Three charts as inline SVG: lines over updates, dots with intervals, and a map of spots.

Colours are classes (`s0`, `s1`, ...) that the page's style sheet fills, so one drawing serves the
light page, the dark one and the printed one. No scripts: hovering shows the values as tooltips.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ml_agent.evals.markup import Html, element, join

_CHARACTER = 6.6
"""Width of a character of the charts' 12-pixel font, on average."""


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


@dataclass(frozen=True)
class _Scale:
    """From values to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 2)


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
    x = _Scale(first, last if last > first else first + 1, left, width - right)
    y = _Scale(y_ticks[0], y_ticks[-1], height - bottom, top)
    grid = [_h_line(left, width - right, y(tick), "grid") for tick in y_ticks]
    grid += [_text(left - 8, y(tick) + 4, _tick(tick, y_ticks), anchor="end") for tick in y_ticks]
    shown = [tick for tick in x_ticks if x.low <= tick <= x.high]
    grid += [_text(x(tick), height - bottom + 18, _tick(tick, x_ticks)) for tick in shown]
    grid.append(_text((left + width - right) / 2, height - 6, x_label, class_="muted"))
    lines = [_line(one, x, y) for one in series]
    return _svg(width, height, title, grid + lines)


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
    left = 16 + _CHARACTER * max(len(row.label) for row in rows)
    right = 44 + _CHARACTER * max(len(row.note) for row in rows)
    top, bottom, lane, gap = 26, 44, 15, 16
    width = 760
    height = top + sum(gap + lane * max(1, len(row.marks)) for row in rows) + bottom
    marks = [mark for row in rows for mark in row.marks]
    reach = [value for mark in marks for value in _reach(mark)] + [value for value, _ in guides]
    x_ticks = ticks(min(reach), max(reach))
    x = _Scale(x_ticks[0], x_ticks[-1], left, width - right)
    floor = height - bottom
    drawn = [_v_line(x(tick), top, floor, "grid") for tick in x_ticks]
    drawn += [_text(x(tick), floor + 18, _tick(tick, x_ticks)) for tick in x_ticks]
    drawn.append(_text(x((x_ticks[0] + x_ticks[-1]) / 2), height - 8, x_label, class_="muted"))
    for value, name in guides:
        drawn += [_v_line(x(value), top, floor, "guide"), _text(x(value), top - 10, name)]
    at = float(top)
    for row in rows:
        deep = gap + lane * max(1, len(row.marks))
        drawn.append(_text(left - 12, at + deep / 2 + 4, row.label, anchor="end"))
        drawn.append(_text(width - 4, at + deep / 2 + 4, row.note, anchor="end"))
        for lane_number, mark in enumerate(row.marks):
            drawn.append(_dots(mark, x, at + (gap + lane) / 2 + lane * lane_number))
        at += deep
        drawn.append(_h_line(left, width - right, at, "grid"))
    return _svg(width, height, title, drawn)


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
        _h_line(0, width, height / 2, "grid"),
        _v_line(width / 2, 0, height, "grid"),
        *(
            _circle(
                round(width / 2 + (one.x - across[0]) / reach, 2),
                round(height / 2 - (one.y - along[0]) / reach, 2),
                6 if one.strong else 3.5,
                f"f{one.colour}" + ("" if one.strong else " faint"),
                one.tip,
            )
            for one in spots
        ),
    ]
    return _svg(width, height, title, drawn)


def legend(names: Sequence[tuple[str, int]]) -> Html:
    """Which colour is whose: (name, colour) in the order of drawing."""
    entries = [
        element("span", element("i", class_=f"swatch b{colour}"), name) for name, colour in names
    ]
    return element("p", *entries, class_="legend")


def ticks(low: float, high: float, *, whole: bool = False) -> list[float]:
    """Round values that span [low, high] in four to eight steps of 1, 2 or 5 times a power of ten.

    Args:
        low: Smallest value to reach.
        high: Largest value to reach; where it equals `low`, some room is made around both.
        whole: Only whole numbers.

    Examples:
        >>> ticks(0.03, 0.91)
        [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    if high <= low:
        room = abs(low) / 2 or 1.0
        low, high = low - (0 if whole else room), low + room
    rough = (high - low) / 6
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(size * power for size in (1, 2, 5, 10) if size * power >= rough * 0.999)
    if whole:
        step = max(1.0, step)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    digits = max(0, -math.floor(math.log10(step)))
    return [round(number * step, digits) + 0.0 for number in range(first, last + 1)]


def running_mean(values: Sequence[float], reach: int) -> list[float]:
    """Mean of each value and its neighbours, up to `reach` on either side.

    Centred, because a mean that only looks back lags behind a rising curve.
    """
    parts = [values[max(0, at - reach) : at + reach + 1] for at in range(len(values))]
    return [sum(part) / len(part) for part in parts]


def _middle(values: Sequence[float]) -> tuple[float, float]:
    """The middle of what values span, and how far they reach from there."""
    return (min(values) + max(values)) / 2, (max(values) - min(values)) / 2


def _line(one: Series, x: _Scale, y: _Scale) -> Html:
    finite = [(at, value) for at, value in one.points if math.isfinite(value)]
    many = len(finite) >= 20
    drawn = [_path(one.points, x, y, f"line s{one.colour}" + (" faint" if many else ""))]
    if many:
        means = running_mean([value for _, value in finite], max(2, len(finite) // 20))
        smooth = [(at, mean) for (at, _), mean in zip(finite, means, strict=True)]
        drawn.append(_path(smooth, x, y, f"line s{one.colour}"))
    else:
        drawn += [
            _circle(x(at), y(value), 2.5, f"f{one.colour}", f"{one.name}: {value:.4g} at {at:g}")
            for at, value in finite
        ]
    return element("g", *drawn)


def _path(points: Sequence[tuple[float, float]], x: _Scale, y: _Scale, class_: str) -> Html:
    steps, pen = [], "M"
    for at, value in points:
        if math.isfinite(value):
            steps.append(f"{pen}{x(at)} {y(value)}")
        pen = "L" if math.isfinite(value) else "M"
    return element("path", d="".join(steps), class_=class_)


def _dots(mark: Mark, x: _Scale, y: float) -> Html:
    drawn = [_circle(x(value), y, 2.5, f"f{mark.colour} faint") for value in mark.singles]
    tip = f"{mark.value:+.3g}"
    if mark.low is not None and mark.high is not None:
        tip += f" [{mark.low:+.3g}, {mark.high:+.3g}]"
        drawn.append(_h_line(x(mark.low), x(mark.high), y, f"whisker s{mark.colour}"))
        drawn += [
            _v_line(x(end), y - 5, y + 5, f"whisker s{mark.colour}")
            for end in (mark.low, mark.high)
        ]
    drawn.append(_circle(x(mark.value), y, 5, f"f{mark.colour}", tip))
    return element("g", *drawn)


def _reach(mark: Mark) -> list[float]:
    ends = [end for end in (mark.low, mark.high) if end is not None]
    return [mark.value, *ends, *mark.singles]


def _svg(width: float, height: float, title: str, children: Sequence[Html]) -> Html:
    return element(
        "svg",
        element("title", title),
        join(tuple(children)),
        viewBox=f"0 0 {width} {height}",
        role="img",
        style=f"max-width:{width}px",
    )


def _text(x: float, y: float, text: str, *, anchor: str = "middle", class_: str = "") -> Html:
    given = class_ or None
    return element("text", text, x=round(x, 2), y=round(y, 2), text_anchor=anchor, class_=given)


def _circle(x: float, y: float, r: float, class_: str, tip: str = "") -> Html:
    return element(
        "circle", *([element("title", tip)] if tip else []), cx=x, cy=y, r=r, class_=class_
    )


def _h_line(x1: float, x2: float, y: float, class_: str) -> Html:
    return element("line", x1=x1, x2=x2, y1=y, y2=y, class_=class_)


def _v_line(x: float, y1: float, y2: float, class_: str) -> Html:
    return element("line", x1=x, x2=x, y1=y1, y2=y2, class_=class_)


def _tick(value: float, among: Sequence[float]) -> str:
    step = among[1] - among[0]
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value:.{digits}f}" if digits <= 5 else f"{value:.1e}"

"""What charts are drawn of: a scale, ticks, and the few shapes they need, as inline SVG.

Colours are classes (`s0`, `f1`, ...) that the page's style sheet fills, so one drawing serves the
light page, the dark one and the printed one. No scripts: hovering shows the values as tooltips.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from ml_agent.pages.markup import Html, element, join

CHARACTER = 6.6
"""Width of a character of the charts' 12-pixel font, on average."""


@dataclass(frozen=True)
class Scale:
    """From values to pixels."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        """The pixel of a value."""
        share = (value - self.low) / (self.high - self.low)
        return round(self.start + share * (self.end - self.start), 2)


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


def svg(width: float, height: float, title: str, children: Sequence[Html]) -> Html:
    """A drawing as wide as its page allows, and never wider than it is."""
    return element(
        "svg",
        element("title", title),
        join(tuple(children)),
        viewBox=f"0 0 {width} {height}",
        role="img",
        # Where the page is narrower the figure scrolls: shrunk words cannot be read.
        style=f"max-width:{width}px;min-width:{min(width, 520)}px",
    )


def label(x: float, y: float, text: str, *, anchor: str = "middle", class_: str = "") -> Html:
    """Words at a place."""
    given = class_ or None
    return element("text", text, x=round(x, 2), y=round(y, 2), text_anchor=anchor, class_=given)


def circle(x: float, y: float, r: float, class_: str, tip: str = "") -> Html:
    """A dot; `tip` is shown where a pointer rests on it."""
    return element(
        "circle", *([element("title", tip)] if tip else []), cx=x, cy=y, r=r, class_=class_
    )


def h_line(x1: float, x2: float, y: float, class_: str) -> Html:
    """A line from left to right."""
    return element("line", x1=x1, x2=x2, y1=y, y2=y, class_=class_)


def v_line(x: float, y1: float, y2: float, class_: str) -> Html:
    """A line from top to bottom."""
    return element("line", x1=x, x2=x, y1=y1, y2=y2, class_=class_)


def tick_label(value: float, among: Sequence[float]) -> str:
    """A tick's value, with as many digits as tell it from the others."""
    step = among[1] - among[0]
    digits = max(0, -math.floor(math.log10(step) + 1e-9))
    return f"{value:.{digits}f}" if digits <= 5 else f"{value:.1e}"


def path(points: Sequence[tuple[float, float]], x: Scale, y: Scale, class_: str) -> Html:
    """A line through points; one whose y is not finite leaves a gap."""
    steps, pen = [], "M"
    for at, value in points:
        if math.isfinite(value):
            steps.append(f"{pen}{x(at)} {y(value)}")
        pen = "L" if math.isfinite(value) else "M"
    return element("path", d="".join(steps), class_=class_)

"""Figures as people read them, in a terminal and on a page."""

UNKNOWN = "n/a"


def percent(share: float | None) -> str:
    """A share: "93 %"; "n/a" where it is not known."""
    return UNKNOWN if share is None else f"{100 * share:.0f} %"


def change(share: float | None) -> str:
    """A relative change: "+4.1 %"; "n/a" where it is not known."""
    return UNKNOWN if share is None else f"{100 * share:+.1f} %"


def number(value: float | None) -> str:
    """A figure to three significant digits, thousands apart: "0.710", "0.00320", "23,457"."""
    if value is None:
        return UNKNOWN
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:#.3g}".rstrip(".")


def figure(value: float, *, signed: bool = False) -> str:
    """A score to four significant digits: "0.8312", "11,680"; with its sign if asked: "+6.5"."""
    sign = "+" if signed else ""
    return f"{value:{sign},.0f}" if abs(value) >= 1000 else f"{value:{sign}.4g}"


def duration(seconds: float) -> str:
    """Seconds as people say them: "41 s", "3 min 20 s", "1 h 05 min"."""
    if seconds < 59.5:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"

"""Pieces that pages are made of: tables, notes, diffs and outputs."""

import difflib
from collections.abc import Sequence

from ml_agent.pages.markup import Html, element

DIFF_LINES = 120
TEXT_CHARACTERS = 3000


def table(heads: Sequence[str], rows: Sequence[Html], *, words: bool = False) -> Html:
    """A table that scrolls by itself where the page is narrow.

    Args:
        heads: Of the columns; empty: there is no head.
        rows: `tr` elements.
        words: It holds words, which stand at the left and may break; else figures.
    """
    head = (
        [element("thead", element("tr", *(element("th", one) for one in heads)))] if heads else []
    )
    made = element("table", *head, element("tbody", *rows), class_="words" if words else None)
    return element("div", made, class_="scroll", tabindex="0")


def plain_row(*texts: str) -> Html:
    """A row of a table."""
    return element("tr", *(element("td", one) for one in texts))


def absent(text: str) -> Html:
    """A note that something is not there."""
    return element("p", text, class_="absent")


def count(number: int, noun: str) -> str:
    """A number of things: "1 task", "2 tasks"."""
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def unified(before: str, after: str, name_before: str, name_after: str) -> str:
    """What changed between two texts, as `diff -u` says it; empty: nothing."""
    return "\n".join(
        difflib.unified_diff(
            before.splitlines(), after.splitlines(), name_before, name_after, n=2, lineterm=""
        )
    )


def diff_block(diff: str) -> Html:
    """A unified diff, without the two lines that name its files."""
    if not diff:
        return element("p", "The edit changed nothing.", class_="muted")
    lines = diff.split("\n")
    shown = [element("span", line + "\n", class_=_tone(line)) for line in lines[2:DIFF_LINES]]
    if len(lines) > DIFF_LINES:
        shown.append(element("span", f"({len(lines) - DIFF_LINES} more lines)\n", class_="hunk"))
    return element("pre", *shown, class_="diff")


def text_block(title: str, text: str) -> Html:
    """What somebody printed or said, cut where it is very long."""
    if not text.strip():
        return element("p", f"{title}: (empty)", class_="muted")
    return element("div", element("p", title, class_="muted"), element("pre", cut(text)))


def cut(text: str) -> str:
    """A text without what is over the bound, and how much that is."""
    over = len(text) - TEXT_CHARACTERS
    return text if over <= 0 else f"{text[:TEXT_CHARACTERS]}\n({over} more characters)"


def _tone(line: str) -> str | None:
    return {"+": "add", "-": "del", "@": "hunk"}.get(line[:1])

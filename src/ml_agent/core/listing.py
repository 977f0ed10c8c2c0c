"""Scripts as they stand in a prompt: numbered lines between tags, readable back.

<train.py>
import pandas as pd |1
train = pd.read_csv("data/train.csv") |2
</train.py>

The number stands behind its line: a model that repeats a line finds the number as what comes next.
A small one, asked for the number that stood before, was often wrong by one (docs/results.md).
"""

import re

_LISTING = re.compile(r"^<([^<>\n/][^<>\n]*)>\n(.*?)^</\1>$", re.MULTILINE | re.DOTALL)
_LINE = re.compile(r"^(.*) \|(\d+)$")


def number_lines(source: str, *, first: int = 1) -> str:
    """Each line with its number, as `code |12`."""
    lines = source.splitlines()
    return "\n".join(f"{line} |{number}" for number, line in enumerate(lines, first))


def format_listing(name: str, source: str) -> str:
    """A whole script between tags that carry its name."""
    return f"<{name}>\n{number_lines(source)}\n</{name}>"


def read_listings(text: str) -> dict[str, str]:
    """The sources of all listings in a text by script name; the last one of a name counts.

    Only whole listings are read: one whose lines do not count up from 1 is passed over.
    """
    found: dict[str, str] = {}
    for name, body in _LISTING.findall(text):
        numbered = [_LINE.match(line) for line in body.splitlines()]
        lines = [match.group(1) for match in numbered if match]
        counted = [int(match.group(2)) for match in numbered if match]
        if counted == list(range(1, len(numbered) + 1)):
            found[name] = "".join(line + "\n" for line in lines)
    return found

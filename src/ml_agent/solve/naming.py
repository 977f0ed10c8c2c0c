"""What the name of a column says of it."""

import re

_TIMES = {"date", "time", "day", "month", "year", "week", "hour", "period"}
_TIMES |= {"timestamp", "datetime"}
_GROUPS = re.compile(
    r"(.+ )?(group|patient|subject|user|customer|session|person|household)s?"
    r"( ?(id|no|nr|number|code))?"
)


def apart(name: str) -> str:
    """A name with a space wherever a capital letter begins a word: "HTTPDate" has two."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", " ", name)


def words_of(name: object) -> list[str]:
    """Small words: "PatientID", "patient_id" and "patient id" are the same."""
    return re.split(r"[^a-z0-9]+", apart(str(name)).lower())


def names_time(name: object) -> bool:
    """Whether a column is named like a date or a time."""
    return bool(_TIMES & set(words_of(name)))


def names_group(name: object) -> bool:
    """Whether a column is named like somebody or something that has several rows.

    "CustomerAge" and "user_rating" are named for what is said of them.
    """
    return bool(_GROUPS.fullmatch(" ".join(words_of(name)).strip()))

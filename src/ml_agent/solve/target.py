"""Which column is to be predicted, and what else the files say about it."""

import difflib
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pandas as pd

from ml_agent.core.errors import UsageError
from ml_agent.solve.records import Hints, Notes
from ml_agent.solve.words import closest, column_asked_in, column_in, kind_in

Ask = Callable[[str, str], str]
"""(question, answer that is assumed) -> what the user answered; only on a terminal."""

_USUAL = ("target", "label", "labels", "class", "y", "outcome", "response")
_IDS = ("id", "index", "idx", "key", "row_id", "rowid", "unnamed: 0")


@dataclass(frozen=True, kw_only=True)
class Claims:
    """What the files and the user say, each by itself."""

    columns: tuple[str, ...]
    sample: tuple[str, ...]
    """Columns of the form of the answer."""
    lacking: tuple[str, ...]
    """Columns that the rows to predict lack; empty where there are no such rows."""
    readme: str
    """The texts of the folder."""


def named_column(given: str, columns: Sequence[str], option: str) -> str:
    """The column an option names.

    Raises:
        UsageError: There is none.
    """
    if given in columns:
        return given
    if (found := closest(given, columns)) is not None:
        return found
    near = difflib.get_close_matches(given, columns, n=1)
    meant = f"Did you mean {near[0]!r}? " if near else ""
    listed = ", ".join(columns[:12]) + (", ..." if len(columns) > 12 else "")
    raise UsageError(f"{option}: there is no column {given!r}. {meant}Columns: {listed}")


def conclude_target(claims: Claims, hints: Hints, notes: Notes, ask: Ask | None) -> str:
    """The column to predict: what the user says, else what the files show, else a guess.

    Raises:
        UsageError: There is no such column, several are asked for, or the user's sentence and the
            files contradict each other.
    """
    columns = [name for name in claims.columns if name.lower() not in _IDS]
    if not columns:
        raise UsageError("there is no column to predict. Give a table with a column of labels")
    if hints.target:
        found = named_column(hints.target, claims.columns, "--target")
        notes.conclude("target", found, "--target says so")
        return found
    shown, why = _shown(claims)
    said = column_in(hints.say, columns)
    if said and shown and said not in shown:
        raise UsageError(
            f"the sentence asks for {said!r}, but {why[0].lower()}{why[1:]} {shown[0]!r}. Say "
            "which with --target"
        )
    if len(shown) > 1 and not said:
        raise UsageError(
            f"{why} {len(shown)} columns: {', '.join(shown[:5])}. They are predicted one at a "
            "time: choose one with --target"
        )
    if said:
        notes.conclude("target", said, "the sentence names it")
        return said
    read = column_asked_in(claims.readme, columns)
    if shown:
        notes.conclude("target", shown[0], f"{why[0].lower()}{why[1:]} it")
        if read and read != shown[0]:
            notes.warn(
                f"A text of the folder seems to ask for {read!r}; the files contradict it, so it "
                "is not followed."
            )
        return shown[0]
    if read:
        notes.conclude("target", read, "a text of the folder names it")
        return read
    return _guess(columns, notes, ask)


def stated_target(claims: Claims, hints: Hints) -> str | None:
    """The column that the sentence, the files or its usual name say is the target; None: none.

    Where a forecast is asked for, "sales of every store" asks for sales alone.
    """
    said = hints.say
    if "time-series" in {hints.kind, kind_in(said)}:
        said = re.split(r"\b(?:of|for|per|by|in|at|each|every)\b", said, maxsplit=1)[0]
    if named := column_in(said, claims.columns):
        return named
    usual = [name for name in claims.columns if name.lower() in _USUAL]
    return next(iter([*_shown(claims)[0], *usual]), None)


def _shown(claims: Claims) -> tuple[list[str], str]:
    """The columns that the files show to be asked for, and how."""
    asked = [name for name in claims.sample[1:] if name in claims.columns]
    # Some forms of an answer repeat features, and some begin with the target.
    lacked = [name for name in claims.sample if name in claims.lacking]
    asked = lacked[1:] if len(lacked) > 1 and lacked[0] == claims.sample[0] else lacked or asked
    if asked:
        return asked, "The form of the answer has"
    lacking = [name for name in claims.lacking if name.lower() not in _IDS]
    if len(lacking) == 1:
        return lacking, "The rows to predict lack"
    usual = [name for name in lacking if name.lower() in _USUAL]
    return usual[:1] or lacking[-1:], "The rows to predict lack"


def _guess(columns: Sequence[str], notes: Notes, ask: Ask | None) -> str:
    usual = [name for name in columns if name.lower() in _USUAL]
    found, why = (usual[0], "it is usually called so") if usual else (columns[-1], "it is last")
    if ask is not None and not usual:
        answer = ask("Which column is to be predicted?", found)
        if answer != found:
            found, why = named_column(answer, columns, "the answer"), "you said so"
    notes.conclude("target", found, why, guess=why == "it is last")
    return found


def conclude_id(
    frame: pd.DataFrame,
    target: str,
    claims: Claims,
    counting: Sequence[str],
    hints: Hints,
    notes: Notes,
) -> str | None:
    """The column that names rows; None: there is none.

    Args:
        frame: The rows with labels.
        target: What is predicted.
        claims: Of the files.
        counting: Columns that merely count the rows.
        hints: What the user said.
        notes: Told what is concluded.

    Raises:
        UsageError: The column that the user named is not there.
    """
    if hints.id:
        if hints.id == "none":
            return None
        found = named_column(hints.id, list(frame.columns), "--id")
        notes.conclude("id", found, "--id says so")
        return found
    first = claims.sample[0] if claims.sample else target
    if first in frame.columns and first != target:
        notes.conclude("id", first, "the form of the answer begins with it")
        return first
    for name in frame.columns:
        bare = str(name).lower()
        named = bare in _IDS or bare.endswith(("_id", " id")) or str(name).endswith(("Id", "ID"))
        if name != target and named and frame[name].is_unique and frame[name].notna().all():
            notes.conclude("id", str(name), "it is named so, and its values are all different")
            return str(name)
    if counting:
        notes.conclude("id", counting[0], "it only counts the rows")
        return counting[0]
    return None

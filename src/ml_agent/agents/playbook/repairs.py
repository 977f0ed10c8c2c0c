"""Repairs of the bugs the plays make, found from the error and the script as it stands."""

import re
from collections.abc import Callable

import libcst as cst

from ml_agent.agents.playbook.builders import Change, before_model, substitute
from ml_agent.agents.playbook.library import changed
from ml_agent.agents.playbook.names import MISSPELT, MODULES
from ml_agent.agents.playbook.script import Script

_SHORT_NAMES = {"math": "import math", "np": "import numpy as np", "pd": "import pandas as pd"}
_KEYWORDS = {
    "c": "C",
    "depth": "max_depth",
    "k": "n_neighbors",
    "lambda_": "alpha",
    "n_trees": "n_estimators",
    "ngrams": "ngram_range",
    "smoothing": "alpha",
}
_VALUES = {"mae": "absolute_error", "mse": "squared_error", "auto": "sqrt"}


def repair(error: str, source: str) -> str | None:
    """The script with a crash's cause mended; None if the playbook knows no way.

    Args:
        error: Last line of the traceback: "NameError: name 'np' is not defined".
        source: The script as it stands.
    """
    for pattern, mend in _REPAIRS:
        if found := re.search(pattern, error):
            return changed(mend(found.group(found.lastindex or 0)), source)
    return None


def repairable(error: str) -> bool:
    """Whether an error is of a kind the playbook tries to mend."""
    return any(re.search(pattern, error) for pattern, _ in _REPAIRS)


def _define(name: str) -> Change:
    """Import a name right before its first use, or write the frame's real name."""

    def change(script: Script) -> str | None:
        uses = (node for node in script.nodes if isinstance(node, cst.Name) and node.value == name)
        first = next(uses, None)
        if first is None:
            return None
        if name in MODULES:
            return script.insert_before(first, [f"from {MODULES[name]} import {name}"])
        if name in _SHORT_NAMES:
            return script.insert_before(first, [_SHORT_NAMES[name]])
        frame = re.search(r"^\s*(\w+) = " + name, script.source, re.MULTILINE)
        return script.replace(first, frame[1], ()) if frame and name.endswith("_df") else None

    return change


def _import_rightly(name: str) -> Change:
    """Correct a name's spelling, or the module it is imported from."""
    if name in MISSPELT:
        return lambda script: script.source.replace(name, MISSPELT[name])
    return substitute(rf"from [\w.]+ import {name}\b", f"from {MODULES.get(name)} import {name}")


def _without_package(package: str) -> Change:
    """Use scikit-learn's boosted trees in place of a package that is not installed."""

    def change(script: Script) -> str | None:
        place = script.model
        if place is None:
            return None
        name = f"HistGradientBoosting{place.kind.capitalize()}"
        there = script.binds(name, place.node)
        line = "" if there else f"from {MODULES[name]} import {name}\n"
        new = script.replace(place.node, f"{name}(max_iter=100)", ())
        return re.sub(
            rf"([ \t]*)(import|from) {package}\b.*\n", rf"\g<1>{line}" if line else "", new, count=1
        )

    return change


def _rename_keyword(name: str) -> Change:
    """Write a keyword's real name; drop the argument where that is given already."""

    def change(script: Script) -> str | None:
        real = _KEYWORDS.get(name)
        for call in script.calls if real else ():
            given = {arg.keyword.value: arg for arg in call.args if arg.keyword}
            if real is None or name not in given:
                continue
            arg = given[name]
            shared = [one.value for one in call.args if one.star == "**"]
            if real not in given and not (shared and real in script.settings(shared[0])):
                return script.replace(arg.keyword or arg, real, ())
            start, end = script.span(arg)
            before, after = script.source[:start], script.source[end:]
            first = before.endswith("(")
            return before + after.removeprefix(", ") if first else before.rstrip(", ") + after
        return None

    return change


def _another_value(value: str) -> Change:
    """Write a setting's present name: "absolute_error" for "mae"."""
    return substitute(f'"{value}"', f'"{_VALUES.get(value, value)}"')


def _before(step: str, *, sparse: bool = False) -> Callable[[str], Change]:
    return lambda _: before_model(step, sparse=sparse)


def _unwrap(_: str) -> Change:
    """Go back to the model inside: `make_pipeline(Scaler(), Ridge())` becomes `Ridge()`."""

    def change(script: Script) -> str | None:
        place = script.model
        if place is None or not isinstance(place.node, cst.Call):
            return None
        inner = [
            call
            for call in script.calls
            if place.node in script.above(call) and script.kind_of(call)
        ]
        if inner:
            return script.replace(place.node, script.text(inner[0]), ())
        # Only steps made on the spot are ours to take off; `make_pipeline(prepare, ...)` is not.
        around = [
            call
            for call in script.named("make_pipeline")
            if call in script.above(place.node) and isinstance(call.args[0].value, cst.Call)
        ]
        return script.replace(around[-1], script.text(place.node), ()) if around else None

    return change


_REPAIRS: tuple[tuple[str, Callable[[str], Change]], ...] = (
    (r"NameError: name '(\w+)' is not defined", _define),
    (r"ImportError: cannot import name '(\w+)'", _import_rightly),
    (r"ModuleNotFoundError: No module named '(xgboost|lightgbm)'", _without_package),
    (r"unexpected keyword argument '(\w+)'", _rename_keyword),
    (r"InvalidParameterError.*Got '(\w+)' instead", _another_value),
    (r"contains NaN|handle-nan-values", _before('SimpleImputer(strategy="median")')),
    (r"Negative values in data", _before("MinMaxScaler()")),
    (r"[Ss]parse", _before("TruncatedSVD(100, random_state=0)", sparse=True)),
    (r"ValueError|TypeError|AttributeError|InvalidParameterError", _unwrap),
)

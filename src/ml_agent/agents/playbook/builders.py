"""What plays are made of: ways to change a script, found by its structure.

Each builder returns a `Change`: a function from a script to the changed text. None: it does not
apply there. The unchanged text: it is already done, so carrying it out twice is impossible.
"""

import re
from collections.abc import Callable, Collection, Mapping, Sequence

import libcst as cst

from ml_agent.agents.playbook.names import (
    CLASSIFIERS,
    REGRESSORS,
    WITH_COEFFICIENTS,
    WITHOUT_PROBABILITIES,
)
from ml_agent.agents.playbook.script import Script

Change = Callable[[Script], str | None]

_PLUMBING = frozenset({"make_pipeline", "make_union", "FunctionTransformer"})
_FIRST_ARGUMENT = {
    "ExtraTreesClassifier": "n_estimators",
    "ExtraTreesRegressor": "n_estimators",
    "KNeighborsClassifier": "n_neighbors",
    "KNeighborsRegressor": "n_neighbors",
    "Lasso": "alpha",
    "RandomForestClassifier": "n_estimators",
    "RandomForestRegressor": "n_estimators",
    "Ridge": "alpha",
    "RidgeClassifier": "alpha",
}
"""The few parameters that people give without their name."""


def either(*changes: Change) -> Change:
    """The first of several changes that applies, or is already done."""

    def change(script: Script) -> str | None:
        return next((new for one in changes if (new := one(script)) is not None), None)

    return change


def model(
    regressor: str | None = None,
    classifier: str | None = None,
    *,
    sparse: bool | None = None,
    imports: Sequence[str] | None = None,
    only: Collection[str] = (),
) -> Change:
    """Write another expression in the model's place.

    Args:
        regressor: The expression where numbers are predicted; "{model}" stands for the present
            model. None: does not apply there.
        classifier: Likewise where labels are predicted.
        sparse: True: only for models that are given sparse matrices; False: only for others.
        imports: Import lines to write, with "{Kind}" for Regressor or Classifier; None: those
            that are needed.
        only: Names of the models it makes sense for; empty: any.
    """

    def change(script: Script) -> str | None:
        place = script.model
        if place is None or (sparse is not None and sparse != script.sparse):
            return None
        template = regressor if place.kind == "regressor" else classifier
        if template is None or not _can_answer(template, script):
            return None
        if _is_done(template, script):
            return script.source
        if only and not (place.present and place.present.split("(")[0] in only):
            return None
        if "{model}" in template and place.present is None:
            return None
        dropped = () if _keeps_coefficients(template) else script.reports
        if dropped is None:
            return None
        new = place.template.replace("{model}", template.replace("{model}", place.present or ""))
        lines = script.imports_for(new, place.node) if imports is None else imports
        lines = [line.replace("{Kind}", place.kind.capitalize()) for line in lines]
        # A report on fitted values would crash with the new model, so it goes with the old one.
        return script.replace(place.node, new, lines, without=dropped)

    return change


def _keeps_coefficients(template: str) -> bool:
    return template.split("(", maxsplit=1)[0] in WITH_COEFFICIENTS


def family(name: str, arguments: str = "", labels: str | None = None) -> tuple[str, str]:
    """The regressor and the classifier of a family, such as "KNeighbors".

    Args:
        name: What both names begin with.
        arguments: What both are given.
        labels: What the classifier is given instead; None: the same.
    """
    return f"{name}Regressor({arguments})", f"{name}Classifier({labels or arguments})"


def scaled(expressions: tuple[str, str]) -> tuple[str, str]:
    """Two models on standardised features."""
    first, second = (f"make_pipeline(StandardScaler(), {one})" for one in expressions)
    return first, second


def alike(arguments: str, *names: str) -> dict[str, str]:
    """The same arguments for several estimators; "RandomForest" stands for both of its kind."""
    kinds = [name + kind for name in names for kind in ("Regressor", "Classifier", "")]
    return dict.fromkeys(kinds, arguments)


def vectorisers(arguments: str, hashing: str | None = None) -> dict[str, str]:
    """The same arguments for the vectorisers that count words, and those of the hashing one."""
    both = {"TfidfVectorizer": arguments, "CountVectorizer": arguments}
    return both | ({"HashingVectorizer": hashing} if hashing else {})


def search(grids: Mapping[str, str]) -> Change:
    """Search a model's main setting by cross-validation.

    Args:
        grids: Family of models to its grid: {"KNeighbors": '{"n_neighbors": [5, 15]}'}.
    """
    templates = {name: f"GridSearchCV({{model}}, {grid}, cv=3)" for name, grid in grids.items()}
    return either(*(model(one, one, only=alike("", name)) for name, one in templates.items()))


def _can_answer(template: str, script: Script) -> bool:
    predictor = next((name for name in _names(template) if name in REGRESSORS | CLASSIFIERS), "")
    return not (script.wants_probabilities and predictor in WITHOUT_PROBABILITIES)


def _is_done(template: str, script: Script) -> bool:
    telling = [name for name in _names(template) if name not in _PLUMBING]
    if telling:
        return all(script.named(name) for name in telling)
    return template.partition("{model}")[0] in script.source


def _names(template: str) -> list[str]:
    return re.findall(r"\b([A-Z]\w+|make_\w+)\(", template)


def before_model(
    regressor: str,
    classifier: str | None = None,
    *,
    sparse: bool = False,
    imports: Sequence[str] | None = None,
) -> Change:
    """Put a transformer before the model; the second where another one suits classifiers."""
    second = classifier or regressor
    return model(
        f"make_pipeline({regressor}, {{model}})",
        f"make_pipeline({second}, {{model}})",
        sparse=sparse,
        imports=imports,
    )


def rows(expression: str) -> Change:
    """Replace the feature matrix `Z` by an expression of it, row by row."""
    return before_model(f"FunctionTransformer(lambda Z: {expression})")


def keywords(settings: Mapping[str, str]) -> Change:
    """Give arguments to the last call of a name.

    Args:
        settings: Name of an estimator to its new arguments: {"Ridge": "alpha=10.0"}.
    """

    def change(script: Script) -> str | None:
        calls = script.named(*settings)
        if not calls:
            return None
        pairs = re.split(r", (?=[a-z]\w*=)", settings[script.name_of(calls[-1])])
        return _with_arguments(script, calls[-1], dict(pair.split("=", 1) for pair in pairs))

    return change


def _with_arguments(script: Script, call: cst.Call, new: Mapping[str, str]) -> str | None:
    """The text with keyword arguments set, in the call or in the dictionary it unpacks."""
    at = {arg.keyword.value: arg.value for arg in call.args if arg.keyword}
    unnamed = [arg.value for arg in call.args if not arg.keyword and not arg.star]
    if unnamed:
        first = _FIRST_ARGUMENT.get(script.name_of(call))
        if first is None and not new.keys() <= at.keys():
            return None
        at |= {first: unnamed[0]} if first else {}
    shared = [arg.value for arg in call.args if arg.star == "**"]
    settings = script.settings(shared[0]) if shared else {}
    at |= settings
    missing = {key: value for key, value in new.items() if key not in at}
    changes = [(*script.span(at[key]), value) for key, value in new.items() if key in at]
    # Before a `**settings`, which must stay last; else at the end of the call.
    plain = [arg for arg in call.args if arg.star != "**"]
    end = script.span(plain[-1].value)[1] if plain else script.span(call.func)[1] + 1
    added = ", ".join(f"{key}={value}" for key, value in missing.items())
    if added:
        added = f", {added}" if plain else f"{added}, " if shared else added
        changes.append((end, end, added))
    return script.splice(changes)


def constant(name: str, value: str) -> Change:
    """Give another value to a named number.

    Args:
        name: Regular expression of the whole name, in any case.
        value: The new number.
    """

    def change(script: Script) -> str | None:
        for node in script.nodes:
            match node:
                case cst.Assign(
                    targets=[cst.AssignTarget(target=cst.Name(value=found))],
                    value=cst.Integer() | cst.Float() as number,
                ) if re.fullmatch(name, found, re.IGNORECASE):
                    return script.replace(number, value)
        return None

    return change


def prediction(template: str, kind: str | None = None) -> Change:
    """Change what is predicted: "{p}" stands for the predictions, "{y}" for the known targets."""

    def change(script: Script) -> str | None:
        found, fit = script.prediction, script.fit
        if found is None or fit is None or kind not in {None, script.kind}:
            return None
        if not script.is_after(found, fit.node):
            return None
        if template.partition("{p}")[0] in script.source:
            return script.source
        new = template.replace("{p}", script.text(found)).replace("{y}", fit.target)
        return script.replace(found, new)

    return change


def fit_on_all() -> Change:
    """Fit the model on held-back rows too, right before it predicts."""

    def change(script: Script) -> str | None:
        splits, fit, found = script.named("train_test_split"), script.fit, script.prediction
        if (
            not splits
            or fit is None
            or found is None
            or not isinstance(fit.node.func, cst.Attribute)
        ):
            return None
        given = [script.text(arg.value) for arg in splits[-1].args if not arg.keyword]
        line = f"{script.text(fit.node.func.value)}.fit({', '.join(given)})"
        if len(given) != 2 or not script.is_after(found, splits[-1]):
            return None
        return script.source if line in script.source else script.insert_before(found, [line])

    return change


def rename_call(old: str, new: str) -> Change:
    """Call something else with the same arguments."""

    def change(script: Script) -> str | None:
        calls = script.named(old)
        if script.named(new):
            return script.source
        return script.replace(calls[-1].func, new) if calls else None

    return change


def substitute(old: str, new: str) -> Change:
    """Replace the first match of a regular expression; for what has no node of its own."""

    def change(script: Script) -> str | None:
        text, count = re.subn(old, new, script.source, count=1)
        return text if count else None

    return change

"""What plays are made of: ways to change a script, found by its structure.

Each builder returns a `Change`: a function from a script to the changed text, or None where it
does not apply. Carried out once, a change does not apply again.
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
    """The first of several changes that applies."""

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
        if template is None or not _suits(template, script):
            return None
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
    return template.split("(")[0] in WITH_COEFFICIENTS


def _suits(template: str, script: Script) -> bool:
    names = re.findall(r"\b([A-Z]\w+|make_\w+)\(", template)
    predictor = next((name for name in names if name in REGRESSORS | CLASSIFIERS), "")
    if script.wants_probabilities and predictor in WITHOUT_PROBABILITIES:
        return False
    telling = [name for name in names if name not in _PLUMBING]
    if telling and all(script.named(name) for name in telling):
        return False
    return template.split("{model}")[0] not in script.source or "{model}" not in template[1:]


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
        new = _with_arguments(script, calls[-1], dict(pair.split("=", 1) for pair in pairs))
        return new if new != script.source else None

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
                    new = script.replace(number, value)
                    return new if new != script.source else None
        return None

    return change


def prediction(template: str, kind: str | None = None) -> Change:
    """Change what is predicted: "{p}" stands for the predictions, "{y}" for the known targets."""

    def change(script: Script) -> str | None:
        found, fit = script.prediction, script.fit
        if found is None or fit is None or kind not in {None, script.kind}:
            return None
        if not script.is_after(found, fit.node) or template.split("{p}")[0] in script.source:
            return None
        new = template.replace("{p}", script.text(found)).replace("{y}", fit.target)
        return script.replace(found, new)

    return change


def before_fit(*lines: str) -> Change:
    """Write lines before the final fit: "{X}" and "{y}" stand for what is fitted, both names."""

    def change(script: Script) -> str | None:
        fit = script.fit
        if fit is None or not (fit.features.isidentifier() and fit.target.isidentifier()):
            return None
        new = [line.replace("{X}", fit.features).replace("{y}", fit.target) for line in lines]
        if new[0] in script.source:
            return None
        return script.insert_before(fit.node, script.imports_for("\n".join(new), fit.node) + new)

    return change


def after_reading(*lines: str) -> Change:
    """Write lines after both frames are read: "{train}" and "{new}" stand for their names."""

    def change(script: Script) -> str | None:
        frames = script.frames
        if frames is None:
            return None
        new = [_with_frames(line, script) for line in lines]
        if new[0] in script.source:
            return None
        needed = script.imports_for("\n".join(new), frames.last)
        return script.insert_after(frames.last, needed + new)

    return change


def _with_frames(line: str, script: Script) -> str:
    frames = script.frames
    if frames is None:
        return line
    return line.replace("{train}", frames.train).replace("{new}", frames.predict)


def columns(choice: str, *, categories: bool = False) -> Change:
    """Use other columns than those listed: "{frame}" stands for the frame to be predicted.

    Applies to the first list of column names; of names given to an encoder, or of others. Where
    no frame is at hand yet, it is read.
    """

    def change(script: Script) -> str | None:
        lists = [one for one in script.column_lists if one.categories == categories]
        if not lists:
            return None
        node = lists[0].node
        frames = script.frames
        if frames and script.is_after(node, frames.last):
            return script.replace(node, choice.replace("{frame}", frames.predict))
        return script.replace(node, choice.replace("{frame}", 'pd.read_csv("data/predict.csv")'))

    return change


def derived(name: str, expression: str) -> Change:
    """Add a column made of listed ones.

    Args:
        name: Of the new column.
        expression: In terms of the frame `d` and the listed names: 'd["{first}"] / d["{last}"]',
            where {second} is the second.
    """

    def change(script: Script) -> str | None:
        for listed in script.column_lists:
            if f'"{name}"' in script.source or f"({name}=" in script.source:
                continue
            first, second, last = listed.names[0], listed.names[1], listed.names[-1]
            made = expression.format(first=first, second=second, last=last)
            if len(listed.uses) == 1:
                end = script.span(listed.uses[0])[1]
                return script.splice([(end, end, f".assign({name}=lambda d: {made})")])
            frames = script.frames
            if frames and listed.name and script.is_after(listed.node, frames.last):
                lines = [
                    f"for d in ({frames.train}, {frames.predict}):",
                    f'    d["{name}"] = {made}',
                ]
                return script.insert_after(listed.node, [*lines, f'{listed.name}.append("{name}")'])
        return None

    return change


def encoded(*lines: str) -> Change:
    """Turn the text columns `c` of both frames into numbers, and use them where columns are listed.

    Args:
        lines: Body of the loop over `c`, with "{train}" and "{new}" for the frames.
    """

    def change(script: Script) -> str | None:
        frames = script.frames
        if (
            frames is None
            or "exclude=" in script.source
            or script.named("OrdinalEncoder", "OneHotEncoder")
        ):
            return None
        loop = 'for c in {new}.select_dtypes(exclude="number").columns.drop("id", errors="ignore"):'
        body = [f"    {line}" for line in lines]
        after = frames.last
        named = [found for found in script.column_lists if found.name]
        if named and script.is_after(named[0].node, frames.last):
            after = named[0].node
            body.append(f"    {named[0].name}.append(c)")
        code = [_with_frames(line, script) for line in (loop, *body)]
        return script.insert_after(after, code)

    return change


def pair_score(expression: str, imports: Sequence[str] | None = None) -> Change:
    """Score a pair of nodes otherwise: `N` stands for the neighbour sets, `a` and `b` for the two."""

    def change(script: Script) -> str | None:
        found = script.pair_score
        if found is None:
            return None
        names = {"N": found.neighbours, "a": found.first, "b": found.second}
        new = re.sub(r"\b[Nab]\b", lambda name: names[name.group()], expression)
        return None if new in script.source else script.replace(found.node, new, imports)

    return change


def pair_features(expression: str) -> Change:
    """Add a column for pairs: "{A}" is the adjacency matrix, "{u}" and "{v}" the nodes."""

    def change(script: Script) -> str | None:
        found = script.pair_features
        if found is None:
            return None
        new = expression.replace("{A}", found.adjacency)
        new = new.replace("{u}", found.first).replace("{v}", found.second)
        end = script.span(found.columns.elements[-1].value)[1]
        return None if new in script.source else script.splice([(end, end, f", {new}")])

    return change


def row_statistic(name: str, expression: str) -> Change:
    """Add a number per row: to the script's dictionary of such numbers, or else to its matrix.

    Args:
        name: Key of the new number.
        expression: In terms of the array "{Z}".
    """
    appended = rows(f"np.c_[Z, {expression.replace('{Z}', 'Z')}]")

    def change(script: Script) -> str | None:
        found = script.statistics
        if found is None:
            return appended(script)
        new = f'"{name}": {expression.replace("{Z}", found.array)}'
        start = script.span(found.node.elements[0].key)[0]
        before = script.source[script.source.rfind("\n", 0, start) + 1 : start]
        separator = f",\n{before}" if before.isspace() else ", "
        return None if new in script.source else script.splice([(start, start, new + separator)])

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
        if len(given) != 2 or line in script.source or not script.is_after(found, splits[-1]):
            return None
        return script.insert_before(found, [line])

    return change


def substitute(old: str, new: str) -> Change:
    """Replace the first match of a regular expression; for what has no node of its own."""

    def change(script: Script) -> str | None:
        text = re.sub(old, new, script.source, count=1)
        return text if text != script.source else None

    return change

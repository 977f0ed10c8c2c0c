"""How a script makes its model, told otherwise: settings apart, a pipeline, a class, a function.

Each way is a function from source to source after which the script does what it did; what it does
not understand it leaves.
"""

import random
import re
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain, islice, repeat

import libcst as cst

from ml_agent.agents.playbook.names import CLASSIFIERS, REGRESSORS
from ml_agent.agents.playbook.tree import SyntaxTree

PREDICTORS = CLASSIFIERS | REGRESSORS
_LITERALS = (cst.Integer, cst.Float, cst.SimpleString, cst.UnaryOperation)
_OF_PIPELINES = frozenset({"fit", "predict", "predict_proba", "decision_function", "score"})
"""What a pipeline does as the model in it does."""


@lru_cache(maxsize=1)
def read(source: str) -> SyntaxTree:
    """A script's tree, of which one is made for all tellings that leave the script as it was."""
    return SyntaxTree(source)


def assigned(tree: SyntaxTree) -> list[tuple[cst.Name, cst.BaseExpression]]:
    """Names and what is assigned to them, of `a = 1` and of `a, b = 1, 2`."""
    found: list[tuple[cst.BaseExpression, cst.BaseExpression]] = []
    for node in tree.nodes:
        match node:
            case cst.Assign(targets=[cst.AssignTarget(target=target), *_], value=value):
                if isinstance(target, cst.Tuple) and isinstance(value, cst.Tuple):
                    both = zip(target.elements, value.elements, strict=False)
                    found += [(left.value, right.value) for left, right in both]
                else:
                    found.append((target, value))
    return [(left, right) for left, right in found if isinstance(left, cst.Name)]


def constructed(tree: SyntaxTree, call: cst.Call) -> cst.Call | None:
    """The construction of a predictor: of `Ridge()`, and of `Ridge().fit(x, y)`, `Ridge()`."""
    match call.func:
        case cst.Attribute(value=cst.Call() as inner, attr=cst.Name(value="fit")):
            call = inner
    return call if tree.name_of(call) in PREDICTORS else None


def end_of_imports(source: str) -> int:
    """Where the imports end that a script begins with, a docstring above them or not."""
    tree, at = read(source), 0
    for line in tree.module.body:
        match line:
            case cst.SimpleStatementLine(body=[cst.Import() | cst.ImportFrom()]):
                at = source.find("\n", tree.span(line)[1]) + 1
            case cst.SimpleStatementLine(body=[cst.Expr(value=cst.SimpleString())]):
                pass
            case _:
                break
    return at


def settings_apart(source: str, chance: random.Random) -> str:
    """`Ridge(alpha=2.0)` as `Ridge(**params)`, or as `Ridge(alpha=ALPHA)`."""
    if chance.random() < 0.5:
        return source
    tree = read(source)
    made = [call for call in tree.named(*PREDICTORS) if call.args]
    given = {tuple(_argument(tree, one) for one in call.args) for call in made}
    literal = all(one.keyword and isinstance(one.value, _LITERALS) for c in made for one in c.args)
    if len(given) != 1 or not literal:
        return source
    pairs = [(tree.text(one.keyword), tree.text(one.value)) for one in made[0].args if one.keyword]
    constants = {name: name.upper() for name, _ in pairs}
    name = chance.choice(["params", "settings", "options", "config", "PARAMS"])
    if chance.random() < 0.5:
        lines = [f"{constants[key]} = {value}" for key, value in pairs]
        new = ", ".join(f"{key}={constants[key]}" for key, _ in pairs)
        names = {*constants.values()}
    else:
        inside = ", ".join(f'"{key}": {value}' for key, value in pairs)
        lines, new, names = [f"{name} = {{{inside}}}"], f"**{name}", {name}
    if names & set(re.findall(r"[A-Za-z_]\w*", source)):
        return source
    changes = [(tree.span(c.args[0])[0], tree.span(c.args[-1].value)[1], new) for c in made]
    return _below_imports(tree.splice(changes), "\n" + "\n".join(lines) + "\n")


def piped(source: str, chance: random.Random) -> str:
    """A model as the last part of a pipeline."""
    if chance.random() < 0.6:
        return source
    tree = read(source)
    maker = chance.choice(["make_pipeline({})", 'Pipeline([("model", {})])'])
    changes = [
        (*tree.span(call), maker.format(tree.text(call)))
        for given, call in _held(tree)
        if _asked(tree, given, crossed=True) is not None
    ]
    name = maker.partition("(")[0]
    if not changes or name in source:
        return source
    return _below_imports(tree.splice(changes), f"from sklearn.pipeline import {name}\n")


def in_a_class(source: str, chance: random.Random) -> str:
    """A model in a class of its own, which hands on what it is asked."""
    if chance.random() < 0.7:
        return source
    tree = read(source)
    made = tree.named(*PREDICTORS)
    name = chance.choice(["Baseline", "Model", "Predictor", "Learner"])
    asked = [_asked(tree, given) for given, _ in _held(tree)]
    known = all(tree.function(call) is None or _is_closed(call) for call in made)
    # Scikit-learn copies what it validates by its settings, and such a class tells of none.
    if len(asked) != len(made) or None in asked or not known or "cross_val" in source:
        return source
    body = _class_body(sorted(set().union(*filter(None, asked)) - {"fit"}), chance)
    return _defined(source, tree, name, f"class {name}:\n{body}")


def _held(tree: SyntaxTree) -> list[tuple[str, cst.Call]]:
    """Models that are assigned as they are made: what each is called, and its construction."""
    return [
        (target.value, call)
        for target, value in assigned(tree)
        if isinstance(value, cst.Call) and (call := constructed(tree, value)) is not None
    ]


def _asked(tree: SyntaxTree, name: str, *, crossed: bool = False) -> set[str] | None:
    """What a model by this name is asked, where it is no more than what a pipeline around it does.

    Args:
        tree: Of the script.
        name: What the model is called.
        crossed: Whether it may be handed to what validates it too.
    """
    uses = {
        _use(tree, node, crossed=crossed)
        for node in tree.nodes
        if isinstance(node, cst.Name) and node.value == name
    }
    for target, value in assigned(tree):
        match value:
            case cst.Call(func=cst.Attribute(value=cst.Call(), attr=cst.Name(value=method))):
                if target.value == name and not _is_plain(method, value):
                    return None
    return None if None in uses else {one for one in uses if one}


def _use(tree: SyntaxTree, node: cst.Name, *, crossed: bool) -> str | None:
    """The method that is called here; "" where none is; None for what only the model itself does.

    Where `fit` is more than a statement, its result is the model under another name.
    """
    up, call, around = islice(chain(tree.above(node), repeat(None)), 3)
    match up:
        case cst.AssignTarget() if isinstance(call, cst.Assign) and len(call.targets) == 1:
            return ""
        case cst.Element() if isinstance(around, cst.AssignTarget):
            return ""
        case cst.Attribute(attr=attr) if attr is node:
            return ""
        case cst.Attribute(attr=cst.Name(value=method)) if isinstance(call, cst.Call):
            is_model = method == "fit" and not isinstance(around, cst.Expr)
            return None if is_model or not _is_plain(method, call) else method
        case cst.Arg() if crossed and isinstance(call, cst.Call) and up is call.args[0]:
            return "" if tree.name_of(call).startswith("cross_val_") else None
    return None


def _is_plain(method: str, call: cst.Call) -> bool:
    """Whether a pipeline has this method, and is given rows, and labels where it wants some."""
    wanted = 2 if method in {"fit", "score"} else 1
    plain = all(one.keyword is None and not one.star for one in call.args)
    return method in _OF_PIPELINES and plain and len(call.args) == wanted


def _class_body(asked: Sequence[str], chance: random.Random) -> str:
    """The methods of a class around a model, {} for how it is made, which an attribute holds."""
    inside = chance.choice(["model", "clf", "est", "inner"])
    rows, wanted = chance.choice([("X", "y"), ("features", "target"), ("rows", "labels")])
    parts = [
        f"    def __init__(self):\n        self.{inside} = {{}}\n",
        f"    def fit(self, {rows}, {wanted}):\n"
        f"        self.{inside}.fit({rows}, {wanted})\n        return self\n",
    ]
    for name in asked:
        given = f"{rows}, {wanted}" if name == "score" else rows
        parts.append(
            f"    def {name}(self, {given}):\n        return self.{inside}.{name}({given})\n"
        )
    return "\n".join(parts)


def built(source: str, chance: random.Random) -> str:
    """A model that is made in a function of its own."""
    if chance.random() < 0.7:
        return source
    tree = read(source)
    name = chance.choice(["build_model", "make_model", "get_model"])
    if not all(_is_closed(call) for call in tree.named(*PREDICTORS)):
        return source
    return _defined(source, tree, name, f"def {name}():\n    return {{}}\n")


def _defined(source: str, tree: SyntaxTree, name: str, definition: str) -> str:
    """A script in which every model is made by calling what is defined below the imports.

    Left as it is, where models differ, the name is taken, or what makes them is not known there.

    Args:
        source: The script.
        tree: Of it.
        name: Of what is defined.
        definition: Its text, with {} for how the model was made.
    """
    made = tree.named(*PREDICTORS)
    texts = sorted({tree.text(call) for call in made})
    taken = re.search(rf"\b(class|{name})\b", source)
    roots = {re.match(r"\w*", text)[0] for text in texts}  # type: ignore[index]
    if len(texts) != 1 or taken or not all(tree.binds(root, tree.module) for root in roots):
        return source
    told = tree.splice([(*tree.span(call), f"{name}()") for call in made])
    at = end_of_imports(told)
    text = definition.replace("{}", texts[0]).rstrip("\n")
    above = told[:at] and told[:at] + "\n\n"
    return above + text + "\n\n\n" + told[at:].lstrip("\n")


def _is_closed(call: cst.Call) -> bool:
    """Whether all arguments are literals."""
    return all(not one.star and isinstance(one.value, _LITERALS) for one in call.args)


def on_lines(source: str, chance: random.Random) -> str:
    """A construction with a line for each argument."""
    if chance.random() < 0.6:
        return source
    tree = read(source)
    changes = []
    for call in tree.named(*PREDICTORS):
        start, end = tree.span(call)
        if len(call.args) > 1 and "\n" not in source[start:end]:
            line = tree.indent(start)
            indent = line[: len(line) - len(line.lstrip())]
            inside = "".join(f"{indent}    {_argument(tree, one)},\n" for one in call.args)
            changes.append((start, end, f"{tree.text(call.func)}(\n{inside}{indent})"))
    return tree.splice(changes)


def _argument(tree: SyntaxTree, argument: cst.Arg) -> str:
    """`alpha=2.0`, `**params` or `5`."""
    keyword = f"{tree.text(argument.keyword)}=" if argument.keyword else ""
    return f"{argument.star}{keyword}{tree.text(argument.value)}"


def _below_imports(source: str, text: str) -> str:
    """A script with further lines below the imports that it begins with."""
    at = end_of_imports(source)
    return source[:at] + text + source[at:]

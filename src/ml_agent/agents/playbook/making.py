"""How a script makes its model, told otherwise: settings apart, a pipeline, a class, a function.

Each way is a function from source to source after which the script does what it did; what it does
not understand it leaves.
"""

import random
import re
from collections.abc import Sequence
from functools import lru_cache

import libcst as cst

from ml_agent.agents.playbook.names import CLASSIFIERS, REGRESSORS
from ml_agent.agents.playbook.tree import SyntaxTree

PREDICTORS = CLASSIFIERS | REGRESSORS
_LITERALS = (cst.Integer, cst.Float, cst.SimpleString, cst.UnaryOperation)
_OF_PIPELINES = frozenset({".fit", ".predict", ".predict_proba", ".decision_function", ".score"})
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
        for target, value in assigned(tree)
        if isinstance(value, cst.Call) and (call := constructed(tree, value)) is not None
        if _is_asked_no_more(source, target.value)
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
    texts = {tree.text(call) for call in made}
    name = chance.choice(["Baseline", "Model", "Predictor", "Learner"])
    held = _held(tree)
    known = all(tree.function(call) is None or _is_closed(call) for call in made)
    if len(texts) != 1 or len(held) != len(made) or not known:
        return source
    # Scikit-learn copies what it validates by its settings, and such a class tells of none.
    alone = all(_is_asked_no_more(source, one) for one in held) and "cross_val" not in source
    if not alone or re.search(rf"\b(class|{name})\b", source):
        return source
    asked = set(re.findall(rf"\b(?:{'|'.join(held)})\.(\w+)\(", source)) - {"fit"}
    told = tree.splice([(*tree.span(call), f"{name}()") for call in made])
    (text,) = texts
    body = _class_body(text, sorted(asked), chance)
    told = _below_imports(told, f"\n\nclass {name}:\n{body}\n\n")
    return re.sub(r"\n{4,}", "\n\n\n", told)


def _is_asked_no_more(source: str, name: str) -> bool:
    """Whether a model is asked for no more than a pipeline around it can do."""
    uses = set(re.findall(rf"\b{name}\b(?! =)(\.\w+)?", source))
    crossed = len(re.findall(rf"cross_val_\w+\(\s*{name}\b", source))
    bare = len(re.findall(rf"\b{name}\b(?! =|\.)", source))
    with_more = re.search(rf"\b{name}\.fit\([^\n]*=", source)
    return uses - {""} <= _OF_PIPELINES and bare == crossed and not with_more


def _held(tree: SyntaxTree) -> list[str]:
    """For every model that is assigned as it is made, the name it is given."""
    return [
        target.value
        for target, value in assigned(tree)
        if isinstance(value, cst.Call) and constructed(tree, value) is not None
    ]


def _class_body(made: str, asked: Sequence[str], chance: random.Random) -> str:
    """The methods of a class around a model, which stands in an attribute."""
    inside = chance.choice(["model", "clf", "est", "inner"])
    rows, wanted = chance.choice([("X", "y"), ("features", "target"), ("rows", "labels")])
    parts = [
        f"    def __init__(self):\n        self.{inside} = {made}\n",
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
    made = tree.named(*PREDICTORS)
    texts = {tree.text(call) for call in made}
    name = chance.choice(["build_model", "make_model", "get_model"])
    if len(texts) != 1 or name in source or not all(_is_closed(call) for call in made):
        return source
    (text,) = texts
    told = tree.splice([(*tree.span(call), f"{name}()") for call in made])
    told = _below_imports(told, f"\n\ndef {name}():\n    return {text}\n\n")
    return re.sub(r"\n{4,}", "\n\n\n", told)


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
            line = source[source.rfind("\n", 0, start) + 1 : start]
            indent = line[: len(line) - len(line.lstrip())]
            inside = "".join(f"{indent}    {_argument(tree, one)},\n" for one in call.args)
            changes.append((start, end, f"{tree.text(call.func)}(\n{inside}{indent})"))
    return tree.splice(changes)


def _argument(tree: SyntaxTree, argument: cst.Arg) -> str:
    """`alpha=2.0`, `**params` or `5`."""
    keyword = f"{tree.text(argument.keyword)}=" if argument.keyword else ""
    return f"{argument.star}{keyword}{tree.text(argument.value)}"


def _below_imports(source: str, text: str) -> str:
    """A script with further lines below its imports; without imports, at its head."""
    found = list(re.finditer(r"^(?:from|import) .*\n", source, re.M))
    at = found[-1].end() if found else 0
    return source[:at] + text + source[at:]

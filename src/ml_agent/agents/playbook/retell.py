"""The same script as other people would have written it.

A small model that imitates edits of a few scripts learns these alone. Told anew, with other names,
`fit` chained or on a line of its own, in a function or at the top, with other quotes and imports,
they do what they did: the same computation, the same output, the same predictions.

Each way of telling is a function from source to source; what it does not understand it leaves.
"""

import random
import re
import textwrap
from collections import defaultdict
from collections.abc import Callable
from itertools import pairwise

import libcst as cst
from libcst.metadata import Assignment, Scope

from ml_agent.agents.playbook.making import (
    PREDICTORS,
    assigned,
    built,
    constructed,
    end_of_imports,
    in_a_class,
    on_lines,
    piped,
    read,
    settings_apart,
)
from ml_agent.agents.playbook.names import MODULES
from ml_agent.agents.playbook.tree import SyntaxTree

Telling = Callable[[str, random.Random], str]

_NAMES = {
    "model": ("model", "clf", "est", "learner", "predictor", "m", "fitted", "algo"),
    "known": ("train", "df", "data", "train_df", "table", "known", "frame"),
    "new": ("test", "test_df", "new", "unknown", "predict_df", "query", "to_predict"),
    "columns": ("features", "cols", "columns", "used", "predictors", "FEATURES"),
    "inputs": ("X", "inputs", "x_all", "X_train", "values"),
    "target": ("y", "target", "labels", "y_train", "wanted", "truth"),
}
"""What people call things, by what is assigned to them."""
_ROLES = (
    ("known", re.compile(r"read_csv\([^)]*train")),
    ("new", re.compile(r"read_csv\([^)]*predict")),
    ("columns", re.compile(r"^\[\s*(\"|c for c in)")),
    (
        "inputs",
        re.compile(
            r"^\w+\[(columns|feats|features|FEATURES|\[\".*)\](\.fillna\(0\)|\.to_numpy\(\))?$"
        ),
    ),
    ("target", re.compile(r"^\w+\[\"\w+\"\](\.to_numpy\(\)|\.values)?$")),
)


def retold(source: str, way: int) -> str:
    """A script in one of many ways to write it.

    Args:
        source: A script; what is no Python comes back as it is.
        way: Which way; 0 is the script itself, and equal ways give equal scripts.
    """
    if way == 0:
        return source
    chance = random.Random(way)
    for telling in _TELLINGS:
        try:
            told = telling(source, chance)
        except cst.ParserSyntaxError:
            return source
        source = told
    return source


def _renamed(source: str, chance: random.Random) -> str:
    """Variables with other names, of those people give to such things."""
    tree = read(source)
    taken = set(re.findall(r"[A-Za-z_]\w*", source))
    changes = []
    for old, role in _roles(tree).items():
        free = [name for name in _NAMES[role] if name == old or name not in taken]
        new = chance.choice(free) if free else old
        if new == old:
            continue
        taken.add(new)
        for node in _uses(tree.scopes, old):
            start, _ = tree.span(node)
            changes.append((start, start + len(old), new))
    return tree.splice(set(changes))


def _roles(tree: SyntaxTree) -> dict[str, str]:
    """What variables are, where everything that is assigned to them is the same kind of thing."""
    found: dict[str, set[str]] = defaultdict(set)
    for target, value in assigned(tree):
        found[target.value].add(_role(tree, value))
    return {
        name: min(roles) for name, roles in found.items() if len(roles) == 1 and "" not in roles
    }


def _role(tree: SyntaxTree, value: cst.BaseExpression) -> str:
    if isinstance(value, cst.Call) and constructed(tree, value) is not None:
        return "model"
    text = tree.text(value)
    return next((role for role, pattern in _ROLES if pattern.search(text)), "")


def _uses(scopes: set[Scope], name: str) -> set[cst.CSTNode]:
    """Every place that names a variable; none, if it is more than a variable somewhere."""
    uses: set[cst.CSTNode] = set()
    for scope in scopes:
        for assignment in set(scope.assignments[name]):
            if not isinstance(assignment, Assignment):
                return set()
            if not isinstance(assignment.node, cst.Name):
                return set()
            uses.add(assignment.node)
            uses |= {access.node for access in assignment.references}
    return uses


def _fit_chained(source: str, chance: random.Random) -> str:
    """`m = Ridge()` and `m.fit(x, y)` as one statement."""
    if chance.random() < 0.5:
        return source
    tree = read(source)
    changes = []
    for line, following in _neighbours(tree):
        match line, following:
            case cst.Assign(value=cst.Call() as call), cst.Expr(value=cst.Call() as fit):
                name = tree.text(line.targets[0].target)
                if tree.name_of(call) in PREDICTORS and tree.text(fit.func) == f"{name}.fit":
                    end = tree.span(fit)[1]
                    rest = source[tree.span(fit.func)[1] : end]
                    changes.append((tree.span(call)[1], end, f".fit{rest}"))
    return tree.splice(changes)


def _fit_apart(source: str, chance: random.Random) -> str:
    """`m = Ridge().fit(x, y)` as two statements."""
    if chance.random() < 0.5:
        return source
    tree = read(source)
    changes = []
    for node in tree.nodes:
        match node:
            case cst.Assign(value=cst.Call(func=cst.Attribute(value=cst.Call() as inner)) as call):
                if constructed(tree, call) is inner and len(node.targets) == 1:
                    name = tree.text(node.targets[0].target)
                    end = tree.span(inner)[1]
                    indent = tree.indent(tree.span(node)[0])
                    changes.append((end, end, f"\n{indent}{name}"))
    return tree.splice(changes)


def _neighbours(
    tree: SyntaxTree,
) -> list[tuple[cst.BaseSmallStatement, cst.BaseSmallStatement]]:
    """Statements that follow each other in one block, each on lines of its own."""
    pairs = []
    for node in [*tree.nodes, tree.module]:
        body = node.body if isinstance(node, cst.Module | cst.IndentedBlock) else ()
        pairs += [
            (one.body[0], other.body[0])
            for one, other in pairwise(body)
            if isinstance(one, cst.SimpleStatementLine)
            and isinstance(other, cst.SimpleStatementLine)
            and not other.leading_lines
        ]
    return pairs


def _in_a_function(source: str, chance: random.Random) -> str:
    """What stands at the top, in a function of its own."""
    if chance.random() < 0.6:
        return source
    module = cst.parse_module(source)
    flat = all(isinstance(one, cst.SimpleStatementLine | cst.For | cst.If) for one in module.body)
    if not (module.body and flat) or '"""' in source or "__name__" in source:
        return source
    at = end_of_imports(source)
    name = chance.choice(["main", "run", "solve", "train_and_predict"])
    body = textwrap.indent(source[at:].strip("\n"), "    ")
    call = chance.choice([f"{name}()", f'if __name__ == "__main__":\n    {name}()'])
    return f"{source[:at]}\n\ndef {name}():\n{body}\n\n\n{call}\n"


def _at_the_top(source: str, chance: random.Random) -> str:
    """What stands in `main`, at the top."""
    found = re.search(
        r"\n\ndef main\(\):\n(.*?)\n\n\nif __name__ == \"__main__\":\n    main\(\)\n", source, re.S
    )
    if found is None or chance.random() < 0.5:
        return source
    return (
        source[: found.start()] + "\n\n" + textwrap.dedent(found[1]) + "\n" + source[found.end() :]
    )


def _by_module(source: str, chance: random.Random) -> str:
    """`from sklearn.linear_model import Ridge` as `from sklearn import linear_model`."""
    if chance.random() < 0.6:
        return source
    by_module: dict[str, list[str]] = defaultdict(list)
    for module, names in re.findall(r"^from sklearn\.(\w+) import ([\w, ]+)$", source, re.M):
        by_module[module] += [name.strip() for name in names.split(",")]
    for module, names in by_module.items():
        if len(re.findall(rf"\b{module}\b", source)) > 1 or not set(names) <= MODULES.keys():
            continue
        source = re.sub(
            rf"^from sklearn\.{module} import .*$",
            f"from sklearn import {module}",
            source,
            flags=re.M,
        )
        for name in names:
            source = re.sub(rf"\b{name}\b", f"{module}.{name}", source)
    return source


def _with_other_quotes(source: str, chance: random.Random) -> str:
    """Single quotes around what holds no quotes."""
    if chance.random() < 0.6:
        return source
    tree = read(source)
    changes = []
    for node in tree.nodes:
        plain = isinstance(node, cst.SimpleString) and re.fullmatch(
            r"\"[^\"'\\\n]*\"", tree.text(node)
        )
        if plain and not any(isinstance(up, cst.FormattedString) for up in tree.above(node)):
            changes.append((*tree.span(node), f"'{plain[0][1:-1]}'"))
    return tree.splice(changes)


def _without_comments(source: str, chance: random.Random) -> str:
    """No lines that are comments alone."""
    if chance.random() < 0.5:
        return source
    return re.sub(r"^ *#.*\n", "", source, flags=re.M)


_TELLINGS: tuple[Telling, ...] = (
    _without_comments,
    _renamed,
    in_a_class,
    settings_apart,
    piped,
    _fit_apart,
    _fit_chained,
    _at_the_top,
    _in_a_function,
    built,
    on_lines,
    _by_module,
    _with_other_quotes,
)

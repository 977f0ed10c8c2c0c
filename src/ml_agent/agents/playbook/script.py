"""A training script as an engineer sees it: its model, its frames, its columns, its fit.

Covered: what people write in short scikit-learn scripts, flat or in functions, with pipelines,
dictionaries of settings and any variable names; linear models trained by hand; scores of node
pairs made of neighbour sets. Not covered: estimators chosen by computed names.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import libcst as cst

from ml_agent.agents.playbook.names import CLASSIFIERS, REGRESSORS, SEARCHES, VECTORISERS
from ml_agent.agents.playbook.tree import SyntaxTree

Kind = Literal["regressor", "classifier"]

_READS = re.compile(r"\bread_(csv|table|parquet)\b")
_ROLES = {"train": re.compile("train"), "predict": re.compile("predict|test")}
_QUOTED = re.compile(r"\([^()]*?[\"']([^\"']*)[\"']")
_FITTED = re.compile(r"[a-z]\w*[a-z]_")
_STATEMENTS = (cst.SimpleStatementLine, cst.BaseCompoundStatement)
_ADJACENCY = re.compile(r"^(\w+)\[.+, .+\] = 1$", re.MULTILINE)
_LABELS = re.compile(r"\beye\([^()]*\)\[(\w+)\]|\blstsq\(\w+, (\w+)|\.T @ (\w+)\)|== (\w+)\)")


@dataclass(frozen=True, kw_only=True)
class ModelPlace:
    """Where the model stands, and how another one would be written there."""

    node: cst.BaseExpression
    kind: Kind
    present: str | None
    """The model as it is written now; None: it is trained by hand."""
    features: str = ""
    """Training by hand: the variables that hold what it learns from, and what is predicted."""
    target: str = ""
    new: str = ""

    @property
    def template(self) -> str:
        """What to write at `node`, with "{model}" for an estimator."""
        by_hand = f"{{model}}.fit({self.features}, {self.target}).predict({self.new})"
        return "{model}" if self.present else by_hand


@dataclass(frozen=True, kw_only=True)
class Fit:
    """The last call `something.fit(X, y)`."""

    node: cst.Call
    features: str
    target: str


@dataclass(frozen=True, kw_only=True)
class Training:
    """Where the final training starts, with its rows and labels in two variables."""

    features: str
    target: str
    node: cst.CSTNode
    """The fit; of a training by hand: the later of the statements that make the variables."""
    by_hand: bool = False


@dataclass(frozen=True, kw_only=True)
class Frames:
    """The two frames a script reads: rows with labels, and rows to predict."""

    train: str
    predict: str
    last: cst.CSTNode
    """The later of the statements that read them."""
    unpacked: bool
    """Whether reading them gave more at once, as in `frame, features = load("train")`."""


@dataclass(frozen=True, kw_only=True)
class ColumnList:
    """A list of column names written out, and where it picks columns of a frame."""

    node: cst.List
    names: tuple[str, ...]
    name: str | None
    """The variable that holds it; None: it stands where it is used."""
    uses: tuple[cst.CSTNode, ...] = ()
    """Expressions `frame[list]`."""
    categories: bool = False
    """Whether they are given to an encoder, so hold categories instead of numbers."""


@dataclass(frozen=True, kw_only=True)
class PairScore:
    """The expression that scores two nodes by their neighbour sets."""

    node: cst.BaseExpression
    neighbours: str
    first: str
    second: str


@dataclass(frozen=True, kw_only=True)
class PairFeatures:
    """The columns that describe pairs of nodes, made from an adjacency matrix."""

    columns: cst.List
    adjacency: str
    first: str
    second: str


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """A dictionary of one number per row of an array: {"mean": np.mean(array, axis=1)}."""

    node: cst.Dict
    array: str


class Script(SyntaxTree):
    """One script. Everything in it is found by structure, never by line number."""

    @cached_property
    def model(self) -> ModelPlace | None:
        """The predictor the script trains: the last one that stands inside no other."""
        predictors = {call: kind for call in self.calls if (kind := self.kind_of(call))}
        outer = [call for call in predictors if not predictors.keys() & set(self.above(call))]
        if not outer:
            return self._model_by_hand
        last = outer[-1]
        return ModelPlace(node=last, kind=predictors[last], present=self.text(last))

    def kind_of(self, call: cst.Call) -> Kind | None:
        """What a call's estimator predicts; None if it is no predictor."""
        name = self.name_of(call)
        if name in SEARCHES:
            below = [inner for inner in self.calls if call in self.above(inner)]
            return next((kind for inner in below if (kind := self.kind_of(inner))), None)
        if name in REGRESSORS:
            return "regressor"
        return "classifier" if name in CLASSIFIERS else None

    @cached_property
    def _model_by_hand(self) -> ModelPlace | None:
        """`f(new @ w).argmax(axis=1)` or `new @ w`, where `x @ w` was fitted to known labels."""
        products: dict[str, list[cst.BinaryOperation]] = {}
        for node in self.nodes:
            match node:
                case cst.BinaryOperation(
                    left=cst.Name(), operator=cst.MatrixMultiply(), right=cst.Name(value=weights)
                ):
                    products.setdefault(weights, []).append(node)
        labels = _LABELS.search(self.source)
        for first, *_, last in (found for found in products.values() if len(found) > 1):
            if labels is None or self.text(first.left) == self.text(last.left):
                continue
            node = self._value_around(last)
            kind: Kind = "classifier" if "argmax" in self.text(node) else "regressor"
            return ModelPlace(
                node=node,
                kind=kind,
                present=None,
                features=self.text(first.left),
                target=next(name for name in labels.groups() if name),
                new=self.text(last.left),
            )
        return None

    def _value_around(self, node: cst.BaseExpression) -> cst.BaseExpression:
        """The whole right-hand side a node stands in, or else the node."""
        around = (up for up in self.above(node) if isinstance(up, cst.Assign))
        return next((up.value for up in around), node)

    @property
    def kind(self) -> Kind | None:
        """What the script's model predicts."""
        return self.model.kind if self.model else None

    @property
    def wants_probabilities(self) -> bool:
        """Whether the model must be able to answer `predict_proba`."""
        return bool(self.named("predict_proba"))

    @cached_property
    def reports(self) -> tuple[cst.CSTNode, ...] | None:
        """Statements that only print fitted values such as `coef_`.

        None: some other statement needs such values.
        """
        found = []
        for node in self.nodes:
            if not (isinstance(node, cst.Attribute) and _FITTED.fullmatch(node.attr.value)):
                continue
            around = [up for up in (node, *self.above(node)) if isinstance(up, _STATEMENTS)]
            outer = next((up for up in around if isinstance(up, cst.For)), around[0])
            body = outer.body.body if isinstance(outer, cst.For) else [outer]
            if not all(self.text(one).startswith("print(") for one in body):
                return None
            found.append(outer)
        return tuple(dict.fromkeys(found))

    @property
    def sparse(self) -> bool:
        """Whether the model is likely to be given a sparse matrix."""
        if self.named("TruncatedSVD", "toarray", "todense"):
            return False
        one_hot = [call for call in self.named("OneHotEncoder") if "sparse" not in self.text(call)]
        return bool(one_hot or self.named(*VECTORISERS))

    @cached_property
    def fit(self) -> Fit | None:
        """Where the final model is fitted."""
        for call in reversed(self.named("fit")):
            given = [self.text(arg.value) for arg in call.args]
            if len(given) == 2:
                return Fit(node=call, features=given[0], target=given[1])
        return None

    @cached_property
    def training(self) -> Training | None:
        """The final training; None if its rows and labels are no plain variables."""
        if (fit := self.fit) is not None:
            plain = fit.features.isidentifier() and fit.target.isidentifier()
            return (
                Training(features=fit.features, target=fit.target, node=fit.node) if plain else None
            )
        place = self._model_by_hand
        if place is None:
            return None
        names = {place.features, place.target}
        made = [where for name, _, where in self._assigned() if name in names]
        last = max(made, key=self.span, default=None)
        if last is None:
            return None
        return Training(features=place.features, target=place.target, node=last, by_hand=True)

    @cached_property
    def prediction(self) -> cst.BaseExpression | None:
        """The last call of predict or predict_proba, with the column taken of it."""
        found = self.named("predict", "predict_proba", "decision_function")
        if not found:
            return None
        around = next(self.above(found[-1]))
        return around if isinstance(around, cst.Subscript) else found[-1]

    @cached_property
    def frames(self) -> Frames | None:
        """The two frames, where both are read in one block; the first of a kind counts."""
        found: dict[str, tuple[str, cst.CSTNode]] = {}
        for name, text, statement in self._assigned():
            quoted = _QUOTED.search(text) if self._reads(text) else None
            path = quoted.group(1) if quoted else ""
            for role, pattern in _ROLES.items():
                if role not in found and pattern.search(path):
                    found[role] = name, statement
        if len(found) < 2:
            return None
        (train, one), (predict, other) = found["train"], found["predict"]
        if next(self.above(one)) is not next(self.above(other)):
            return None
        last = max(one, other, key=self.span)
        unpacked = re.match(r"\w+(, ?\w+)+ = \w+\(", self.text(one)) is not None
        return Frames(train=train, predict=predict, last=last, unpacked=unpacked)

    def settings(self, given: cst.BaseExpression) -> dict[str, cst.BaseExpression]:
        """Values by key of the dictionary unpacked as `**given`, where it is written out."""
        for node in self.nodes:
            match node:
                case cst.Assign(
                    targets=[cst.AssignTarget(target=cst.Name(value=name))], value=value
                ):
                    if name != self.text(given):
                        continue
                    match value:
                        case cst.Call(func=cst.Name(value="dict"), args=args):
                            return {arg.keyword.value: arg.value for arg in args if arg.keyword}
                        case cst.Dict(elements=elements):
                            pairs = [one for one in elements if isinstance(one, cst.DictElement)]
                            return {self.text(one.key).strip("'\""): one.value for one in pairs}
        return {}

    def _reads(self, text: str) -> bool:
        """Whether an expression reads a whole frame, itself or through a function of the script."""
        readers = [
            self.text(node.name)
            for node in self.nodes
            if isinstance(node, cst.FunctionDef) and _READS.search(self.text(node))
        ]
        called = re.match(r"[\w.]+(?=\()", text)
        reads = _READS.search(text) or (called and called.group() in readers)
        return bool(reads) and ")[" not in text

    def _assigned(self) -> Iterator[tuple[str, str, cst.CSTNode]]:
        """(name, text of its value, statement) of every assignment.

        Of `frame, x = load("train")` the first name counts.
        """
        for node in (node for node in self.nodes if isinstance(node, cst.Assign)):
            statement = self.statement(node)
            match node.targets[0].target, node.value:
                case cst.Name(value=name), value:
                    yield name, self.text(value), statement
                case cst.Tuple(elements=names), cst.Tuple(elements=values):
                    for one, given in zip(names, values, strict=False):
                        yield self.text(one.value), self.text(given.value), statement
                case cst.Tuple(elements=[first, *_]), cst.Call() as value:
                    yield self.text(first.value), self.text(value), statement
                case cst.Tuple(elements=[first, second]), value if "train" in self.text(value):
                    yield self.text(first.value), "read_csv('train')", statement
                    yield self.text(second.value), "read_csv('predict')", statement

    @cached_property
    def column_lists(self) -> list[ColumnList]:
        """Lists of two or more column names, in the order of the text.

        Assigned and used as `frame[list]`, or written there, or in a tuple with a transformer.
        """
        found = []
        for node in self.nodes:
            if not (isinstance(node, cst.List) and len(node.elements) > 1):
                continue
            texts = [one.value for one in node.elements if isinstance(one.value, cst.SimpleString)]
            names = tuple(str(text.evaluated_value) for text in texts)
            if len(names) < len(node.elements) or {"id", "prediction"} & set(names):
                continue
            if (listed := self._column_list(node, names)) is not None:
                found.append(listed)
        return found

    def _column_list(self, node: cst.List, names: tuple[str, ...]) -> ColumnList | None:
        parents = list(self.above(node))
        subscript = next((up for up in parents[:3] if isinstance(up, cst.Subscript)), None)
        if subscript is not None:
            return ColumnList(node=node, names=names, name=None, uses=(subscript,))
        match parents[0]:
            case cst.Assign(targets=[cst.AssignTarget(target=cst.Name(value=name))]):
                uses = [
                    one
                    for one in self.nodes
                    if isinstance(one, cst.Subscript)
                    and re.search(rf"[\[ ]{name}\]$", self.text(one))
                ]
                return (
                    ColumnList(node=node, names=names, name=name, uses=tuple(uses))
                    if uses
                    else None
                )
            case cst.Element() if isinstance(parents[1], cst.Tuple):
                categories = "Encoder" in self.text(parents[1])
                return ColumnList(node=node, names=names, name=None, categories=categories)
        return None

    @cached_property
    def pair_score(self) -> PairScore | None:
        """What a function of two nodes returns, if it looks up the neighbours of both."""
        for node in (node for node in self.nodes if isinstance(node, cst.Return)):
            function = self.function(node)
            if node.value is None or not isinstance(function, cst.FunctionDef):
                continue
            names = [param.name.value for param in function.params.params]
            found = re.findall(r"(\w+)\[(\w+)\]", self.text(function))
            if len(names) == 2 and {key for _, key in found} >= set(names):
                return PairScore(
                    node=node.value, neighbours=found[0][0], first=names[0], second=names[1]
                )
        return None

    @cached_property
    def pair_features(self) -> PairFeatures | None:
        """The list given to `np.column_stack` where an adjacency matrix is at hand."""
        matrix = _ADJACENCY.search(self.source)
        for call in self.named("column_stack", "stack"):
            match call.args[0].value if call.args else None:
                case cst.List() as listed if matrix:
                    nodes = re.findall(r"\w\[(\w+)\]", self.text(listed))
                    if len(set(nodes)) > 1:
                        return PairFeatures(
                            columns=listed, adjacency=matrix[1], first=nodes[0], second=nodes[1]
                        )
        return None

    @cached_property
    def statistics(self) -> Statistics | None:
        """The first dictionary whose values reduce the rows of one array."""
        for node in (node for node in self.nodes if isinstance(node, cst.Dict)):
            arrays = re.findall(r"([a-zA-Z_]\w*), axis=1\)", self.text(node))
            if len(arrays) > 1 and len(set(arrays)) == 1:
                return Statistics(node=node, array=arrays[0])
        return None

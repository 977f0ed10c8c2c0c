"""The syntax tree of a script, with positions, and how to splice new text into it.

Changes are spliced in at the positions of syntax nodes, so every other line stays as its author
wrote it, and the edit stays short.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

import libcst as cst
from libcst.metadata import (
    MetadataWrapper,
    ParentNodeProvider,
    PositionProvider,
    Scope,
    ScopeProvider,
)

from ml_agent.agents.playbook.names import MODULES

_SHORT_NAMES = {"np": "import numpy as np", "pd": "import pandas as pd"}


class SyntaxTree:
    """Nodes of a source text: what they are, where they are, how to replace them."""

    def __init__(self, source: str) -> None:
        """Read a source text.

        Raises:
            libcst.ParserSyntaxError: It is not Python.
        """
        self.source = source
        self.module = cst.parse_module(source)
        self._wrapper = MetadataWrapper(self.module, unsafe_skip_copy=True)
        self._positions = self._wrapper.resolve(PositionProvider)
        self._parents = self._wrapper.resolve(ParentNodeProvider)
        self._line_starts = [0]
        for line in source.split("\n"):
            self._line_starts.append(self._line_starts[-1] + len(line) + 1)

    # What is there

    @cached_property
    def nodes(self) -> list[cst.CSTNode]:
        """All nodes, in the order in which they start in the text."""
        return sorted((node for node in self._parents if node in self._positions), key=self.span)

    @cached_property
    def calls(self) -> list[cst.Call]:
        """All calls, in the order of the text."""
        return [node for node in self.nodes if isinstance(node, cst.Call)]

    @cached_property
    def scopes(self) -> set[Scope]:
        """Where names mean one thing: the module, and every function and comprehension."""
        found = self._wrapper.resolve(ScopeProvider).values()
        return {scope for scope in found if scope is not None}

    @cached_property
    def _imported(self) -> dict[str, cst.ImportAlias]:
        """Every import by the name it binds."""
        aliases = [node for node in self.nodes if isinstance(node, cst.ImportAlias)]
        return {self.text(one.asname.name if one.asname else one.name): one for one in aliases}

    def name_of(self, call: cst.Call) -> str:
        """Last part of what is called, with `import X as Y` undone: "Ridge"."""
        match call.func:
            case cst.Name(value=name):
                alias = self._imported.get(name)
                return self.text(alias.name) if alias else name
            case cst.Attribute(attr=cst.Name(value=name)):
                return name
        return ""

    def named(self, *names: str) -> list[cst.Call]:
        """Calls of any of these names, in the order of the text."""
        return [call for call in self.calls if self.name_of(call) in names]

    # Where it is

    def offset(self, line: int, column: int) -> int:
        """A place as an offset into the text; lines count from 1, columns from 0."""
        return self._line_starts[line - 1] + column

    def span(self, node: cst.CSTNode) -> tuple[int, int]:
        """Start and end of a node, as offsets into the text."""
        place = self._positions[node]
        start = self.offset(place.start.line, place.start.column)
        end = self.offset(place.end.line, place.end.column)
        if isinstance(node, cst.Tuple):
            # LibCST takes the parentheses around an expression for no part of it.
            for _ in node.lpar:
                start, end = self.source.rfind("(", 0, start), self.source.find(")", end) + 1
        return start, end

    def text(self, node: cst.CSTNode) -> str:
        """The node as its author wrote it."""
        start, end = self.span(node)
        return self.source[start:end]

    def above(self, node: cst.CSTNode) -> Iterator[cst.CSTNode]:
        """The nodes around a node, from the inside out."""
        while node in self._parents:
            node = self._parents[node]
            yield node

    def statement(self, node: cst.CSTNode) -> cst.CSTNode:
        """The innermost whole statement (a line of its own) that holds a node."""
        while not isinstance(self._parents[node], cst.Module | cst.IndentedBlock):
            node = self._parents[node]
        return node

    def function(self, node: cst.CSTNode) -> cst.CSTNode | None:
        """The function a node stands in; None at the top of the module."""
        return next((up for up in self.above(node) if isinstance(up, cst.FunctionDef)), None)

    def is_after(self, node: cst.CSTNode, other: cst.CSTNode) -> bool:
        """Whether a node runs after another: later in the text, in the same function."""
        later = self.span(node)[0] > self.span(other)[1]
        return later and self.function(node) is self.function(other)

    def binds(self, name: str, node: cst.CSTNode) -> bool:
        """Whether an import makes `name` known where `node` stands."""
        alias = self._imported.get(name)
        if alias is None:
            return False
        function = self.function(alias)
        return function is None or function is self.function(node)

    # How to change it

    def splice(self, changes: Iterable[tuple[int, int, str]]) -> str:
        """The text with each (start, end) span replaced; the spans do not overlap."""
        text = self.source
        for start, end, new in sorted(changes, reverse=True):
            text = text[:start] + new + text[end:]
        return text

    def replace(
        self,
        node: cst.CSTNode,
        new: str,
        imports: Sequence[str] | None = None,
        *,
        without: Sequence[cst.CSTNode] = (),
    ) -> str:
        """Put an expression in a node's place, with the imports it needs right before it.

        Args:
            node: What is replaced.
            new: The expression.
            imports: Import lines; None: those that `imports_for` finds to be missing.
            without: Statements that go.
        """
        needed = self.imports_for(new, node) if imports is None else imports
        gone = [(*self._whole_lines(statement), "") for statement in without]
        return self.splice([self._lines_before(node, needed), (*self.span(node), new), *gone])

    def insert_before(self, node: cst.CSTNode, lines: Sequence[str]) -> str:
        """Put lines before the statement that holds a node, at its indentation."""
        return self.splice([self._lines_before(node, lines)])

    def insert_after(self, node: cst.CSTNode, lines: Sequence[str]) -> str:
        """Put lines after the statement that holds a node, at its indentation."""
        start, end = self.span(self.statement(node))
        line_end = self.source.find("\n", end)
        at = line_end if line_end >= 0 else len(self.source)
        indent = self.indent(start)
        return self.splice([(at, at, "".join(f"\n{indent}{line}" for line in lines))])

    def imports_for(self, code: str, node: cst.CSTNode) -> list[str]:
        """The import lines that `code`, standing at `node`, still needs."""
        lines: dict[str, list[str]] = {}
        bare = re.sub(r"\"[^\"]*\"", '""', code)
        for name in dict.fromkeys(re.findall(r"(?<![\w.])[A-Za-z_]\w*", bare)):
            if self.binds(name, node):
                continue
            if name in MODULES:
                lines.setdefault(f"from {MODULES[name]} import", []).append(name)
            elif name in _SHORT_NAMES and f"{name}." in bare:
                lines[_SHORT_NAMES[name]] = []
        return [f"{line} {', '.join(names)}".strip() for line, names in lines.items()]

    def _lines_before(self, node: cst.CSTNode, lines: Sequence[str]) -> tuple[int, int, str]:
        start = self.span(self.statement(node))[0]
        indent = self.indent(start)
        return start, start, "".join(f"{line}\n{indent}" for line in lines)

    def _whole_lines(self, statement: cst.CSTNode) -> tuple[int, int]:
        start, end = self.span(statement)
        line_end = self.source.find("\n", end)
        first = self.source.rfind("\n", 0, start) + 1
        return first, line_end + 1 if line_end >= 0 else len(self.source)

    def indent(self, offset: int) -> str:
        """What stands in a line before an offset: of a statement, its indentation."""
        return self.source[self.source.rfind("\n", 0, offset) + 1 : offset]

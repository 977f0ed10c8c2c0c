"""Builders of plays on the data: rows, columns, encodings, and features of pairs of nodes."""

import re
from collections.abc import Sequence

from ml_agent.agents.playbook.builders import Change, rows
from ml_agent.agents.playbook.script import Script


def before_training(*lines: str) -> Change:
    """Write lines before the final fit: "{X}" and "{y}" stand for what is fitted, both names."""

    def change(script: Script) -> str | None:
        training = script.training
        if training is None:
            return None
        new = [line.replace("{X}", training.features) for line in lines]
        new = [line.replace("{y}", training.target) for line in new]
        if new[0] in script.source:
            return script.source
        needed = script.imports_for("\n".join(new), training.node) + new
        if training.by_hand:
            return script.insert_after(training.node, needed)
        return script.insert_before(training.node, needed)

    return change


def after_reading(*lines: str) -> Change:
    """Write lines after both frames are read: "{train}" and "{new}" stand for their names."""

    def change(script: Script) -> str | None:
        frames = script.frames
        if frames is None:
            return None
        new = [_with_frames(line, script) for line in lines]
        if new[0] in script.source:
            return script.source
        needed = script.imports_for("\n".join(new), frames.last)
        return script.insert_after(frames.last, needed + new)

    return change


def choose_rows(expression: str) -> Change:
    """Train on other rows; not where their features were taken while they were read."""
    write = after_reading(f"{{train}} = {expression}")

    def change(script: Script) -> str | None:
        frames = script.frames
        return None if frames is None or frames.unpacked else write(script)

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
                return script.source
            first, second, last = listed.names[0], listed.names[1], listed.names[-1]
            made = expression.format(first=first, second=second, last=last)
            if len(listed.uses) == 1:
                new = f"{script.text(listed.uses[0])}.assign({name}=lambda d: {made})"
                return script.replace(listed.uses[0], new)
            frames = script.frames
            if frames and listed.name and script.is_after(listed.node, frames.last):
                lines = [
                    f"for d in ({frames.train}, {frames.predict}):",
                    f'    d["{name}"] = {made}',
                ]
                needed = script.imports_for(made, listed.node)
                lines = [*needed, *lines, f'{listed.name}.append("{name}")']
                return script.insert_after(listed.node, lines)
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
        start = script.span(found.node.elements[0])[0]
        before = script.source[script.source.rfind("\n", 0, start) + 1 : start]
        separator = f",\n{before}" if before.isspace() else ", "
        done = f'"{name}":' in script.source
        return script.source if done else script.splice([(start, start, new + separator)])

    return change


def pair_score(expression: str, imports: Sequence[str] | None = None) -> Change:
    """Score a pair of nodes otherwise: `N` stands for the neighbour sets, `a`, `b` for the two."""

    def change(script: Script) -> str | None:
        found = script.pair_score
        if found is None:
            return None
        names = {"N": found.neighbours, "a": found.first, "b": found.second}
        new = re.sub(r"\b[Nab]\b", lambda name: names[name.group()], expression)
        return script.source if new in script.source else script.replace(found.node, new, imports)

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
        return script.source if new in script.source else script.splice([(end, end, f", {new}")])

    return change

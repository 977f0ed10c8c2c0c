"""Task folders of mle-bench and MLAgentBench, as they lie on the user's disk.

    mle-bench      ID/prepared/public   ID/prepared/private   ID/raw   ID/config.yaml (a copy)
    MLAgentBench   NAME/env   NAME/scripts

Covered: only what an agent of theirs would see is read as data (public, env). Answers are never
opened (private, raw, scripts/answer.csv): the rows with labels are split anew. None of their code
is run: config.yaml and eval.py are read as text, for the name of the metric. Not covered: a name
that says another metric than their code computes.
"""

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from ml_agent.core.errors import UsageError
from ml_agent.solve.records import Stated
from ml_agent.solve.words import metric_in, unknown_metric_in

_BYTES_READ = 1 << 18
_HEADING_CHARS, _SENTENCE_CHARS = 200, 500
_GRADER = re.compile(r"^grader:\s*\n(?:[ \t][^\n]*\n)*?[ \t]+name:[ \t]*(\S.*)$", re.MULTILINE)
_HEADING = re.compile(r"^(#+)[ \t]*(.*?)[ \t#*:]*$")
_ALTERS = {"sqrt", "log", "log1p", "exp", "squared", "average", "weights", "multi_class"}
"""Names beside that of a metric in whose company it may be another one."""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """A task folder of a benchmark."""

    suite: str
    name: str
    data: Path
    """The only folder that is read as data."""
    because: str
    metric: Stated
    """What its files say of the metric."""
    made_by: str
    """How its data are made, should they not be there."""


def benchmark_at(folder: Path) -> Benchmark | None:
    """The benchmark's task that a folder holds; None: it is no such folder.

    Raises:
        UsageError: It is one without its data, or a folder of several.
    """
    found = _mle_bench(folder) or _mlagentbench(folder)
    if found is None:
        inside = ("*/prepared/public", "*/scripts/research_problem.txt")
        tasks = {_name(one.parents[1]) for shape in inside for one in folder.glob(shape)}
        if tasks:
            raise UsageError(
                f"{folder} holds tasks of a benchmark. Give the folder of one: "
                f"{', '.join(sorted(tasks)[:5])}"
            )
    return found


def _mle_bench(folder: Path) -> Benchmark | None:
    root = _root(folder)
    config = _text(root / "config.yaml")
    grader = _GRADER.search(config)
    public = root / "prepared" / "public"
    made_by = f"Make them with `mlebench prepare -c {_name(root)}`"
    if not public.is_dir():
        if (root / "prepared" / "private").is_dir() or (grader and "\npreparer:" in config):
            raise UsageError(
                f"{folder} is a competition of mle-bench without prepared/public, its data. "
                f"{made_by}, and give the folder that holds prepared"
            )
        return None
    if grader:
        metric = Stated(metric=grader.group(1).strip("\"' \t\r"), where="config.yaml")
    else:
        metric = Stated(metric=_sentence(_text(public / "description.md")), where="description.md")
    return Benchmark(
        suite="mle-bench",
        name=_name(root),
        data=public,
        because="it has prepared/public; private answers and raw data are not opened",
        metric=metric,
        made_by=made_by,
    )


def _root(folder: Path) -> Path:
    """The competition's folder, where prepared or prepared/public is given."""
    here = folder.resolve()
    if here.name == "public" and here.parent.name == "prepared":
        return here.parent.parent
    if here.name == "prepared" and (here / "public").is_dir():
        return here.parent
    return here


def _mlagentbench(folder: Path) -> Benchmark | None:
    here = folder.resolve()
    root = here.parent if here.name == "env" else here
    scripts = root / "scripts"
    if not _has_problem(root):
        return None
    if not (root / "env").is_dir():
        raise UsageError(f"{folder} is a task of MLAgentBench without env, its data. Add it")
    metric = Stated(metric=_computed(_text(scripts / "eval.py")), where="scripts/eval.py")
    if not metric.metric:
        for path in (*sorted((root / "env").glob("*.txt")), scripts / "research_problem.txt"):
            if found := _sentence(_text(path)):
                metric = Stated(metric=found, where=_name(path))
                break
    return Benchmark(
        suite="MLAgentBench",
        name=_name(root),
        data=root / "env",
        because="it has env and scripts; their answers are not opened, their code is not run",
        metric=metric,
        made_by="scripts/prepare.py makes them and is not run here: run it yourself",
    )


def _has_problem(root: Path) -> bool:
    """Whether a folder is made like the tasks of MLAgentBench, one of which lacks the first."""
    scripts = root / "scripts"
    named = (scripts / "research_problem.txt").is_file()
    return named or ((scripts / "eval.py").is_file() and (scripts / "prepare.py").is_file())


def _name(path: Path) -> str:
    """Its bare name, fit for a message."""
    return "".join(one if one.isprintable() else "?" for one in path.name)


def _text(path: Path) -> str:
    """The beginning of a file; empty where there is none, or no text."""
    if path.is_symlink() or not path.is_file():
        return ""
    try:
        with path.open("rb") as file:
            return file.read(_BYTES_READ).decode("utf-8-sig", errors="replace")
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}). Make it readable.") from error


def _sentence(text: str) -> str:
    """The first sentence about evaluation that names a metric, known here or not."""
    section = _section(text)
    plain = re.sub(r"\]\([^)\n]{0,200}\)", "]", section or text)
    for long in re.split(r"(?<=[.!?])\s|\n", plain):
        one = long[:_SENTENCE_CHARS]
        told = section or re.search(r"evaluat|metric|scored|measur|judged", one, re.IGNORECASE)
        if told and (metric_in(one) or unknown_metric_in(one)):
            return " ".join(one.split())
    return ""


def _section(text: str) -> str:
    """What stands under the first heading "Evaluation"; empty: there is none."""
    level, lines = 0, []
    for line in text.splitlines():
        heading = _HEADING.match(line[:_HEADING_CHARS])
        if level and heading and len(heading.group(1)) <= level:
            break
        if level:
            lines.append(line)
        elif heading and re.fullmatch(r"evaluation( metric)?", heading.group(2), re.IGNORECASE):
            level = len(heading.group(1))
    return "\n".join(lines)


def _computed(source: str) -> str:
    """The name of the one metric that a script names in its code; empty: none, or not plainly one.

    Raises nothing for a script that is none: then nothing is known.
    """
    try:
        with warnings.catch_warnings():
            # What their code is warned of is not the user's to mend.
            warnings.simplefilter("ignore")
            names = list(_names(ast.parse(source)))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    strange = [one for one in names if unknown_metric_in(one)]
    found = {known: one for one in reversed(names) if (known := metric_in(one))}
    if strange:
        return strange[0]
    return next(iter(found.values())) if len(found) == 1 and not _ALTERS & set(names) else ""


def _names(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name) | ast.Attribute(attr=name) | ast.alias(name=name):
                yield name
            case ast.FunctionDef(name=name) | ast.keyword(arg=str(name)):
                yield name

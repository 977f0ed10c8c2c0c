"""What earlier attempts taught: errors with what mended them, and which ideas helped.

Read from the trajectory stores of runs that lie beside this one, once, when a run begins: it is
kept in the run's own folder, so that the run is the same whatever happens beside it.

Of other runs an error's last line is kept without what it quotes, and the lines of code that
mended it: these are told to the policy, which may sit behind somebody else's endpoint. No test
score is read; there is none in a store.
"""

import difflib
import json
import logging
import re
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path

from pydantic import Field

from ml_agent.core.base import Record
from ml_agent.core.errors import MLAgentError
from ml_agent.core.records import Domain, Execution, Metric, Trajectory
from ml_agent.sandbox import Snapshots
from ml_agent.solve.retrieval import best
from ml_agent.store import RunFolder, Stage, Store, read_record, write_json

logger = logging.getLogger(__name__)

RUNS_AT_MOST = 20
"""Runs that are looked at, the latest."""
ATTEMPTS_AT_MOST = 600
"""Attempts that are read in all."""
_EPISODES_AT_MOST = 200
_ERROR_CHARS = 200
_FIX_CHARS = 500
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_STAGES = (Stage.SOLVE, Stage.COLLECT)


class Episode(Record):
    """An error, and the change after which the script ran."""

    error: str
    """The last line of the traceback, or the limit that was met."""
    fix: str
    """Lines taken out (-) and put in (+)."""

    @property
    def told(self) -> str:
        """In a few lines, for a prompt."""
        return f"{self.error}\nmended by:\n{self.fix}"


class Odds(Record):
    """How an idea fared."""

    tried: int
    helped: int
    """How often the score was better afterwards."""


class Memory(Record):
    """memory.json: what was known when a run began."""

    runs: tuple[str, ...] = ()
    """Names of the runs it comes from."""
    episodes: tuple[Episode, ...] = ()
    odds: dict[str, Odds] = Field(default_factory=dict)
    """Of the playbook's ideas by id, on tasks of the same kind."""


def how_it_failed(ran: Execution | None) -> str | None:
    """An execution's failure in a line; None: it ran to its end, or not at all."""
    if ran is None or ran.succeeded:
        return None
    if ran.killed_by is not None:
        return f"it met the {ran.killed_by} limit"
    lines = [line.strip() for line in ran.output.splitlines() if line.strip()]
    return (lines[-1] if lines else f"exit code {ran.exit_code}")[:_ERROR_CHARS]


def changes(before: str, after: str, *, chars: int = _FIX_CHARS) -> str:
    """The lines that differ, as a diff without its surroundings; cut where it is long."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), lineterm="", n=0)
    kept = [line for line in list(lines)[2:] if not line.startswith("@@")]
    text = "\n".join(kept)
    return text if len(text) <= chars else f"{text[:chars]}\n[cut]"


def episodes_of(played: Trajectory, snapshots: Snapshots) -> Iterator[Episode]:
    """Each error of an attempt that was followed by a run without one.

    Raises:
        SandboxError: A workspace is gone.
    """
    failed: tuple[str, str] | None = None
    for step in played.steps:
        if step.execution is None or not (step.script and step.workspace):
            continue
        source = snapshots.load(step.workspace).get(step.script, b"").decode(errors="replace")
        error = how_it_failed(step.execution)
        if error is not None:
            failed = error, source
        elif failed is not None:
            if fix := changes(failed[1], source):
                yield Episode(error=failed[0], fix=fix)
            failed = None


def relevant(error: str, episodes: list[Episode], *, count: int) -> list[Episode]:
    """The episodes whose errors are most like this one, each fix once."""
    once = {one.told: one for one in reversed(episodes)}
    errors = {one.error: one for one in once.values()}
    return [errors[one] for one in best(error, list(errors), count=count)]


def remember(folder: Path, domain: Domain, *, beside: Path) -> Memory:
    """What a run knows from earlier ones: from its own folder, or read now and written there.

    Args:
        folder: The run.
        domain: What kind of task it is about.
        beside: Where earlier runs lie.

    Raises:
        StoreError: It cannot be written, or what is there is damaged.
        DiskFull: No space is left.
    """
    path = folder / "memory.json"
    if path.exists():
        return read_record(path, Memory, remedy="Delete it: it is made anew.")
    memory = read_runs(beside, domain, but=folder)
    write_json(path, memory.model_dump(mode="json"))
    return memory


def read_runs(beside: Path, domain: Domain, *, but: Path) -> Memory:
    """What the runs in a folder teach about a kind of task.

    A run that cannot be read, as one of another version, is named in the log and passed over.

    Args:
        beside: The folder.
        domain: The kind of task.
        but: A run that is not looked at.
    """
    paths = [
        one.parent for one in beside.glob("*/run.json") if one.parent.resolve() != but.resolve()
    ]
    latest = sorted(paths, key=lambda one: (-(one / "run.json").stat().st_mtime, one.name))
    names: list[str] = []
    episodes: list[Episode] = []
    counted: dict[str, list[int]] = defaultdict(lambda: [0, 0])
    left = ATTEMPTS_AT_MOST
    for path in latest[:RUNS_AT_MOST]:
        try:
            run = RunFolder(path)
            played = _attempts(run, left)
            for one in played:
                episodes += map(_without_quotes, episodes_of(one, Snapshots(run.snapshots)))
            fared = _fared(run, domain, played)
        except (MLAgentError, OSError) as error:
            logger.warning("nothing is learned from the run %s: %s", path.name, error)
            continue
        left -= len(played)
        if played:
            names.append(path.name)
        for idea, helped in fared:
            counted[idea][0] += 1
            counted[idea][1] += helped
    unique = tuple(dict.fromkeys(episodes))
    return Memory(
        runs=tuple(names),
        episodes=unique[:_EPISODES_AT_MOST],
        odds={idea: Odds(tried=n, helped=k) for idea, (n, k) in sorted(counted.items())},
    )


def _attempts(run: RunFolder, most: int) -> list[Trajectory]:
    """The attempts of a run, at most so many."""
    found: list[Trajectory] = []
    if not run.store_path.exists() or most <= 0:
        return found
    with closing(Store(run.store_path)) as store:
        for stage in _STAGES:
            for one in store.select(stage=stage):
                if len(found) == most:
                    return found
                found.append(one)
    return found


def _fared(run: RunFolder, domain: Domain, played: list[Trajectory]) -> list[tuple[str, bool]]:
    """Each idea that was tried alone in a solve of this kind of task, and whether it helped."""
    result, perceived = run.path / "result.json", run.config().get("perceived")
    if not result.exists() or not isinstance(perceived, Mapping):
        return []
    try:
        told = json.loads(result.read_text())
        metric, starter = Metric.model_validate(told["metric"]), float(told["starter"])
    except (ValueError, LookupError, TypeError):
        return []
    if perceived.get("domain") != domain.value:
        return []
    scores: dict[str, float | None] = {}
    found = []
    for one in played:
        mine = [step.score for step in one.steps if step.score is not None]
        scores[one.id] = max(mine, key=lambda score: metric.sign * score, default=None)
        before = scores.get(one.parents[0]) if one.parents else starter
        if one.move is None or one.end is None or len(one.ideas) != 1 or before is None:
            continue
        after = scores[one.id]
        found.append((one.ideas[0], after is not None and metric.sign * (after - before) > 0))
    return found


def _without_quotes(episode: Episode) -> Episode:
    """What an error quotes may be data of another task."""
    return episode.model_copy(update={"error": _QUOTED.sub("'...'", episode.error)})

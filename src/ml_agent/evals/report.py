"""report.html: one page that says what a run found, how sure that is, and shows how it was done.

Self-contained: no script, no font, no picture from elsewhere; it can be mailed and printed.
Stages that a run has not been through are named as absent.
"""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ml_agent.evals.showcase import Showcase, Workspace, attempt_details
from ml_agent.evals.statistics import Interval
from ml_agent.evals.summary import PolicySummary, Summary, TaskSummary
from ml_agent.evals.wording import interval
from ml_agent.pages.blocks import absent, count, plain_row, table
from ml_agent.pages.charts import Mark, Row, Series, dot_chart, legend, line_chart
from ml_agent.pages.markup import Html, element, join
from ml_agent.pages.page import write_page
from ml_agent.pages.wording import UNKNOWN, change, duration, number, percent
from ml_agent.rewards import Reward

Curves = Mapping[str, Sequence[Mapping[str, object]]]
"""Metrics of each stage ("sft", "rl"), one flat object an update."""

_KNOWN = {
    "base": "the model as it came",
    "old": "the policy before it learned from these runs",
    "sft": "after fine-tuning on the expert's attempts",
    "rl": "after practice with real experiments as reward",
    "expert": "the language model that played the training tasks",
}

_WORDS = {
    "policy": "The language model that decides; base, sft and rl are three stages of its training.",
    "held-out task": "A machine-learning problem that no training stage has touched.",
    "attempt": "One try at a task: a few steps in which a script is read, edited and run.",
    "normalised gain": "0 is the task's starter script, 1 its hidden reference solution, measured "
    "on test data. An attempt that found nothing better counts as 0.",
    "mean gain": "Relative improvement of the metric over the starter, positive is better.",
    "interval": "Where the true value lies with 95 % confidence, by bootstrap over tasks and over "
    "attempts within tasks. With few tasks it is wide, as it should be.",
}


def write_report(
    run_folder: Path,
    summary: Summary,
    *,
    curves: Curves,
    showcase: Sequence[Showcase],
    workspace: Workspace,
    reward: Reward,
    config: Mapping[str, object],
) -> Path:
    """Write report.html, whole or not at all, and return its path.

    Args:
        run_folder: The run's; its name is the title.
        summary: The evaluation's figures.
        curves: Metrics of training; a missing stage is shown as absent.
        showcase: Attempts to show step by step (`choose_attempts` picks by rule).
        workspace: Loads a snapshot for the diffs.
        reward: What the shown steps were worth.
        config: The resolved configuration, shown as it is.

    Raises:
        StoreError: It cannot be written.
        DiskFull: No space is left.
    """
    attempts = [attempt_details(one, workspace=workspace, reward=reward) for one in showcase]
    body = join(
        (
            element("h1", f"Run {run_folder.name}"),
            *_headline(summary),
            *_training(curves),
            *_tasks(summary),
            *_attempts(attempts),
            *_details(summary),
            *_run(summary, config),
        )
    )
    return write_page(run_folder / "report.html", f"Run {run_folder.name}", body)


def _headline(summary: Summary) -> list[Html]:
    tasks = len(summary.held_out_tasks)
    # These two are not of every run, so they are not missed.
    missing = [one for one in _KNOWN if one not in {*summary.policies, "expert", "old"}]
    names = [*(label for label in _KNOWN if label in summary.policies)]
    names += [label for label in summary.policies if label not in _KNOWN]
    rows = [_policy_row(label, summary.policies[label]) for label in names]
    rows += [
        element(
            "tr",
            element("td", _named(label)),
            element("td", "not evaluated", colspan=5),
            class_="absent-row",
        )
        for label in missing
    ]
    heads = (
        "policy",
        "valid actions",
        "edits that run",
        "mean gain",
        "normalised gain",
        "attempts",
    )
    words = [
        part for word, text in _WORDS.items() for part in (element("dt", word), element("dd", text))
    ]
    return [
        element(
            "p",
            f"How well the agent does on {count(tasks, 'task')} it never saw in training.",
            class_="muted",
        ),
        *[element("p", text, class_="finding") for text in _findings(summary)],
        table(heads, rows),
        _gain_figure(summary),
        element("h2", "How to read this page"),
        element("dl", *words),
    ]


def _findings(summary: Summary) -> list[str]:
    """The comparisons as sentences, none stronger than its interval."""
    found = []
    for later, earlier, gap in summary.pairs():
        interval = f"(95 % interval {gap.low:+.2f} to {gap.high:+.2f})"
        if gap.excludes_zero:
            word = "above" if gap.mean > 0 else "below"
            found.append(
                f"{later} is {word} {earlier}: {gap.mean:+.2f} of normalised gain {interval}."
            )
        else:
            found.append(
                f"{later} and {earlier} cannot be told apart: {later} minus {earlier} is "
                f"{gap.mean:+.2f} {interval}, and the interval holds 0."
            )
    return found


def _policy_row(label: str, found: PolicySummary) -> Html:
    broken = element("small", f"{found.broken} broken, left out") if found.broken else ""
    return element(
        "tr",
        element("td", _named(label)),
        _cell(found.intervals.get("valid_action_rate"), percent),
        _cell(found.intervals.get("edits_that_run"), percent),
        _cell(found.intervals.get("gain"), change),
        _cell(found.normalised_gain, "{:+.2f}".format),
        element("td", str(found.attempts), broken),
    )


def _named(label: str) -> Html:
    return join((element("b", label), element("small", _KNOWN.get(label, ""))))


def _cell(found: Interval | None, written: Callable[[float], str]) -> Html:
    """A mean, and below it the ends of its interval."""
    if found is None:
        return element("td", UNKNOWN)
    ends = element("small", f"{written(found.low)} to {written(found.high)}")
    return element("td", written(found.mean), ends)


def _gain_figure(summary: Summary) -> Html:
    rows = [
        Row(
            label=label,
            marks=[_mark(found.normalised_gain, colour)],
            note=interval(found.normalised_gain),
        )
        for colour, (label, found) in enumerate(summary.policies.items())
        if found.normalised_gain is not None
    ]
    rows += [
        Row(label=f"{later} minus {earlier}", marks=[_mark(gap, 3)], note=interval(gap))
        for later, earlier, gap in summary.pairs()
    ]
    if not rows:
        return absent("There is no unbroken attempt, so there is no gain to show.")
    title = "Normalised gain with 95 % intervals"
    reach = max((mark.high or 0.0) for row in rows for mark in row.marks)
    guides = [(0.0, "starter"), *([(1.0, "reference")] if reach > 0.5 else [])]
    chart = dot_chart(rows, title=title, x_label="normalised gain", guides=guides)
    pairing = (
        " Differences pair attempts at the same task with the same seed; where a difference's "
        "interval does not touch 0, the data tell the two policies apart."
    )
    caption = f"{title}.{pairing if summary.comparisons else ''}"
    return element("figure", chart, element("figcaption", caption))


def _mark(found: Interval, colour: int) -> Mark:
    return Mark(value=found.mean, low=found.low, high=found.high, colour=min(colour, 3))


def _training(curves: Curves) -> list[Html]:
    sft, rl = curves.get("sft", ()), curves.get("rl", ())
    parts = [element("h2", "Training")]
    if sft:
        charts = _cards(sft, (("Loss on action tokens", ("loss",), None),), colour=1)
        parts += [element("h3", "Fine-tuning on expert attempts (sft)"), charts]
    else:
        parts.append(absent("Fine-tuning (sft): this run has no metrics of that stage."))
    if rl:
        charts = _cards(
            rl,
            (
                ("Reward of a step", ("reward",), None),
                ("Shares of sampled actions", ("valid_action_rate", "edits_that_run"), (0.0, 1.0)),
                ("KL to the fine-tuned policy", ("kl",), None),
                ("Entropy", ("entropy",), None),
            ),
            colour=2,
        )
        parts += [element("h3", "Reinforcement learning (rl), on training tasks"), charts]
    else:
        parts.append(absent("Reinforcement learning (rl): this run has no metrics of that stage."))
    return parts


def _cards(
    lines: Sequence[Mapping[str, object]],
    wanted: Sequence[tuple[str, Sequence[str], tuple[float, float] | None]],
    *,
    colour: int,
) -> Html:
    """A small chart for each wanted figure that was recorded."""
    cards = []
    for title, keys, bounds in wanted:
        series = [
            Series(name=key.replace("_", " "), points=points, colour=colour if not rank else 3)
            for rank, key in enumerate(keys)
            if (points := _points(lines, key))
        ]
        if series:
            names = [(one.name, one.colour) for one in series] if len(keys) > 1 else []
            chart = line_chart(series, title=title, bounds=bounds)
            cards.append(
                element("figure", element("h3", title), chart, legend(names) if names else "")
            )
    return element("div", *cards, class_="cards")


def _points(lines: Sequence[Mapping[str, object]], key: str) -> list[tuple[float, float]]:
    """(update, figure) of each line, a gap (NaN) where it is no number; empty if it never is."""
    points = [
        (float(at), float(value) if isinstance(value := line.get(key), int | float) else math.nan)
        for line in lines
        if isinstance(at := line.get("update"), int | float)
    ]
    return points if any(math.isfinite(value) for _, value in points) else []


def _tasks(summary: Summary) -> list[Html]:
    parts = [element("h2", "Task by task")]
    if not summary.per_task:
        return [*parts, absent("No held-out task has an unbroken attempt.")]
    colours = {label: min(rank, 3) for rank, label in enumerate(summary.policies)}
    rows = [_task_marks(task, colours) for task in summary.per_task]
    chart = dot_chart(
        rows,
        title="Normalised gain of each policy on each held-out task",
        x_label="normalised gain on test; large dot: mean, small dots: single attempts",
        guides=[(0.0, "starter"), (1.0, "reference")],
    )
    labels = list(colours)
    heads = ("task", "metric", "starter", *labels, "reference")
    lines = [_task_row(task, labels) for task in summary.per_task]
    return [
        *parts,
        element("figure", legend(list(colours.items())), chart),
        element(
            "p",
            "Mean test score in each task's own metric; below it, the normalised gain:",
            class_="muted",
        ),
        table(heads, lines),
    ]


def _task_marks(task: TaskSummary, colours: Mapping[str, int]) -> Row:
    marks = [
        Mark(value=found.normalised_gain, singles=found.normalised_gains, colour=colours[label])
        for label, found in task.policies.items()
    ]
    return Row(label=task.task, marks=marks)


def _task_row(task: TaskSummary, labels: Sequence[str]) -> Html:
    better = "higher is better" if task.metric.higher_is_better else "lower is better"
    cells = []
    for label in labels:
        if (found := task.policies.get(label)) is None:
            cells.append(element("td", UNKNOWN))
        else:
            gain = element("small", f"{found.normalised_gain:+.2f}")
            cells.append(element("td", number(found.test_score), gain))
    return element(
        "tr",
        element("td", task.task, element("small", task.domain.value)),
        element("td", task.metric.name, element("small", better)),
        element("td", number(task.starter_test)),
        *cells,
        element("td", number(task.reference_test)),
    )


def _attempts(attempts: Sequence[Html]) -> list[Html]:
    if not attempts:
        return [element("h2", "Attempts"), absent("No attempt was chosen to be shown.")]
    rule = (
        "Of each policy the best attempt and the median one, by normalised gain: a fixed rule, not "
        "a choice by hand. Open one to see every step."
    )
    return [element("h2", "Attempts"), element("p", rule, class_="muted"), *attempts]


def _details(summary: Summary) -> list[Html]:
    """Every other figure, a row each, a column a policy."""
    policies = summary.policies.values()
    rows = [
        ("without a valid score", [percent(one.without_valid_score) for one in policies]),
        ("beat the starter on validation", [percent(one.improved) for one in policies]),
        (
            "steps to the first improvement",
            [number(one.steps_to_first_improvement) for one in policies],
        ),
        (
            "validation minus test, normalised gain",
            [number(one.validation_to_test_gap) for one in policies],
        ),
        (
            "best attempt of each task, normalised gain",
            [number(one.best_normalised_gain) for one in policies],
        ),
        ("scripts run in an attempt", [number(one.executed_scripts) for one in policies]),
        ("tokens sampled in an attempt", [number(one.tokens) for one in policies]),
        ("seconds of experiments in an attempt", [number(one.experiment_s) for one in policies]),
    ]
    lines = [
        element("tr", *(element("td", cell) for cell in (name, *cells))) for name, cells in rows
    ]
    return [element("h2", "More figures"), table(("", *summary.policies), lines)]


def _run(summary: Summary, config: Mapping[str, object]) -> list[Html]:
    spent = [plain_row(stage, duration(seconds)) for stage, seconds in summary.seconds.items()]
    if len(summary.seconds) > 1:
        spent.append(plain_row("all together", duration(sum(summary.seconds.values()))))
    versions = [plain_row(name, version) for name, version in summary.versions.items()]
    trained = ", ".join(summary.train_tasks) or "none"
    weights = ", ".join(f"{label} = {one.policy}" for label, one in summary.policies.items())
    configured = json.dumps(dict(config), indent=2, ensure_ascii=False, default=str)
    return [
        element("h2", "The run"),
        element("p", element("b", "Weights: "), weights or "none"),
        element("p", element("b", "Trained on: "), trained),
        element("p", element("b", "Held out: "), ", ".join(summary.held_out_tasks) or "none"),
        element(
            "div",
            element("div", element("h3", "Time by stage"), table((), spent)) if spent else "",
            element("div", element("h3", "Versions"), table((), versions)) if versions else "",
            class_="cards",
        ),
        element("details", element("summary", "Configuration"), element("pre", configured)),
    ]

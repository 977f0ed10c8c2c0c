"""report.html: what a solve found, how sure that is, and how it came about, on one page.

A function of `Outcome` and of the attempts; every text of the user's files, of scripts and of
policies passes through `pages.markup`.
"""

from collections.abc import Sequence
from pathlib import Path

from ml_agent.pages.blocks import absent, count, diff_block, plain_row, table
from ml_agent.pages.charts import Mark, Row, dot_chart, legend
from ml_agent.pages.histories import Moment, step_chart
from ml_agent.pages.markup import Html, element, join
from ml_agent.pages.page import write_page
from ml_agent.pages.wording import UNKNOWN, duration, figure
from ml_agent.solve.answer import Answer
from ml_agent.solve.attempts import Tried
from ml_agent.solve.certainty import Between
from ml_agent.solve.leaks import Leak
from ml_agent.solve.page_attempts import attempts_section
from ml_agent.solve.records import Conclusion
from ml_agent.solve.report import Better, Outcome, findings

_VALIDATION, _TEST = 1, 2
"""Colours."""

_WORDS = {
    "first script": "Where the search began: yours, or a plain one of ours.",
    "validation": "Rows whose labels no script sees, by which scripts were chosen. The score of a "
    "chosen script is a little too good there.",
    "test": "Rows by which nothing was chosen; graded once, when everything was decided.",
    "interval": "Where a figure lies with 95 % confidence, given which rows happen to be in a "
    "split: a bootstrap over its rows. The gain's is of both scripts on the same rows. Where rows "
    "belong together (groups, neighbouring moments) it is too narrow.",
    "experiment": "One run of a script in the sandbox, with its score if it got one.",
    "attempt": "One idea tried on a script: an edit, a run, and mending what crashed.",
}


def write_report(
    folder: Path,
    outcome: Outcome,
    attempts: Sequence[Tried],
    *,
    statement: str,
    seconds: float,
    conclusions: Sequence[Conclusion],
    warnings: Sequence[str],
    answer: Answer,
) -> Path:
    """Write report.html, whole or not at all, and return its path.

    Args:
        folder: Of the answer.
        outcome: The facts.
        attempts: What became of each.
        statement: The task in words.
        seconds: What all experiments took together.
        conclusions: What was concluded about the data; empty: a task package says it.
        warnings: What to be careful about.
        answer: What is in best/.

    Raises:
        StoreError: It cannot be written.
        DiskFull: No space is left.
    """
    words = [
        part for word, text in _WORDS.items() for part in (element("dt", word), element("dd", text))
    ]
    parts: list[str] = [
        element("h1", f"A better script for {outcome.task}" if outcome.improved else outcome.task),
        element("p", statement.strip(), class_="muted statement"),
        *(element("p", text, class_="finding") for text in findings(outcome)),
        *_gap(outcome),
        element("h2", "How to read this page"),
        element("dl", *words),
        *_over_time(outcome, attempts, seconds),
        *_improvements(outcome),
        *attempts_section(outcome, attempts),
        *_leaks(outcome.leaks),
        *_data(conclusions, warnings),
        *_files(outcome, answer),
    ]
    return write_page(folder / "report.html", f"Solved: {outcome.task}", join(parts))


def _gap(outcome: Outcome) -> list[Html]:
    sure, name = outcome.intervals, outcome.metric.name
    rows = [
        element(
            "tr",
            element("td", element("b", split), element("small", about)),
            _cell(first, first_sure),
            _cell(best, best_sure),
            _cell(gain, gain_sure, signed=True),
        )
        for split, about, first, first_sure, best, best_sure, gain, gain_sure in (
            (
                "validation",
                "scripts were chosen by it",
                outcome.starter,
                sure.starter,
                outcome.best,
                sure.best,
                outcome.gain,
                sure.gain,
            ),
            (
                "test",
                f"{count(outcome.test_rows, 'row')} that chose nothing",
                outcome.starter_test,
                sure.starter_test,
                outcome.best_test,
                sure.best_test,
                outcome.test_gain,
                sure.test_gain,
            ),
        )
    ]
    parts = [
        element("h2", "Validation against test"),
        table((name, "first script", "best script", "better by"), rows),
    ]
    if outcome.improved and outcome.test_gain is not None:
        parts.append(_gains(outcome))
    return parts


def _gains(outcome: Outcome) -> Html:
    title = f"By how much {outcome.metric.name} got better"
    both = (
        ("validation", outcome.gain, outcome.intervals.gain, _VALIDATION),
        ("test", outcome.test_gain or 0.0, outcome.intervals.test_gain, _TEST),
    )
    rows = [
        Row(
            label=label,
            marks=[
                Mark(
                    value=gain,
                    low=sure.low if sure else None,
                    high=sure.high if sure else None,
                    colour=colour,
                )
            ],
            note=figure(gain, signed=True),
        )
        for label, gain, sure, colour in both
    ]
    chart = dot_chart(
        rows,
        title=title,
        x_label=f"gain in {outcome.metric.name}, right of 0 is better",
        guides=[(0.0, "no gain")],
    )
    gap = outcome.gain - (outcome.test_gain or 0.0)
    caption = f"{title}, with 95 % intervals. Validation minus test: {figure(gap, signed=True)}."
    return element("figure", chart, element("figcaption", caption))


def _over_time(outcome: Outcome, attempts: Sequence[Tried], seconds: float) -> list[Html]:
    name, sure = outcome.metric.name, outcome.intervals
    better = "higher is better" if outcome.metric.higher_is_better else "lower is better"
    moments = [_moment(0, outcome.starter, sure.starter, "first script, validation")]
    moments += [
        _moment(one.experiment, one.score, one.between, "; ".join(one.why) or "validation")
        for one in outcome.improvements
    ]
    tested = [(0, outcome.starter_test, sure.starter_test, "first script, test")]
    if outcome.improved:
        at = outcome.improvements[-1].experiment
        tested.append((at, outcome.best_test, sure.best_test, "best script, test"))
    beside = [
        _moment(x, value, interval, tip, colour=_TEST)
        for x, value, interval, tip in tested
        if value is not None
    ]
    title = f"Best {name} so far ({better})"
    chart = step_chart(
        moments,
        until=outcome.experiments,
        beside=beside,
        title=title,
        x_label="experiments run",
    )
    names = [("validation", _VALIDATION), *([("test", _TEST)] if beside else [])]
    drawn = element(
        "figure",
        element("h3", title),
        chart,
        legend(names),
        element("figcaption", "Vertical bars are 95 % intervals."),
    )
    rows = [
        plain_row("none", figure(outcome.starter), _ends(sure.starter), "0", "0 s"),
        *(
            plain_row(
                f"{number}",
                figure(one.score),
                _ends(one.between),
                f"{one.experiment:,}",
                duration(one.seconds),
            )
            for number, one in enumerate(outcome.improvements, 1)
        ),
    ]
    heads = ("improvement", name, "95 % interval", "experiments", "they took")
    parts = [element("h2", "Score over time"), drawn, table(heads, rows)]
    return [*parts, element("p", _account(outcome, attempts, seconds), class_="muted")]


def _moment(
    x: float, value: float, sure: Between | None, what: str, *, colour: int = _VALIDATION
) -> Moment:
    return Moment(
        x=x,
        value=value,
        low=sure.low if sure else None,
        high=sure.high if sure else None,
        tip=f"{figure(value)} {_ends(sure)}: {what}",
        colour=colour,
    )


def _account(outcome: Outcome, attempts: Sequence[Tried], seconds: float) -> str:
    said = (
        f"{count(outcome.experiments, 'experiment')} in {count(len(attempts), 'attempt')} took "
        f"{duration(seconds)} of running; {outcome.without_score} led to no score."
    )
    if outcome.unstable:
        said += f" {outcome.unstable} came out differently when they were run again."
    if broken := sum(one.came == "our failure" for one in attempts):
        said += f" {count(broken, 'attempt')} broke by our own fault."
    return f"{said} It ended because {outcome.ended}."


def _improvements(outcome: Outcome) -> list[Html]:
    parts = [element("h2", "What was improved, and why")]
    if not outcome.improvements:
        return [*parts, absent("No script was better than the first one on validation.")]
    few = len(outcome.improvements) <= 3
    before = [outcome.starter, *(one.score for one in outcome.improvements)]
    return [
        *parts,
        *(
            _improvement(number, one, before[number - 1], outcome, open_=few)
            for number, one in enumerate(outcome.improvements, 1)
        ),
    ]


def _improvement(number: int, one: Better, before: float, outcome: Outcome, *, open_: bool) -> Html:
    why = one.why or ("Nothing is recorded of why.",)
    scores = f"{figure(before)} \N{RIGHTWARDS ARROW} {figure(one.score)}"
    return element(
        "details",
        element(
            "summary",
            element("b", f"Improvement {number}", class_="badge"),
            element("span", f"{outcome.metric.name} {scores}"),
            element("span", "; ".join(why), class_="muted"),
        ),
        element("p", f"After {count(one.experiment, 'experiment')}.", class_="muted"),
        diff_block(one.diff),
        class_="attempt",
        open="" if open_ else None,
    )


def _leaks(leaks: Sequence[Leak]) -> list[Html]:
    parts = [element("h2", "Leakage checks")]
    if not leaks:
        note = "A task package's data are not looked at: `ml-agent tasks check` does that."
        return [*parts, absent(note)]
    rows = [
        element(
            "tr",
            element("td", one.check),
            element("td", one.found),
            element(
                "td",
                element(
                    "span",
                    "look at this first" if one.alarming else "no alarm",
                    class_=f"chip {'bad' if one.alarming else 'good'}",
                ),
            ),
        )
        for one in leaks
    ]
    covered = "Not covered: leaks that take two features together, and what a column means."
    return [
        *parts,
        table(("what would make a score too good", "found", ""), rows, words=True),
        element("p", covered, class_="muted"),
    ]


def _data(conclusions: Sequence[Conclusion], warnings: Sequence[str]) -> list[Html]:
    parts = [element("h2", "What was concluded about the data")]
    if not conclusions:
        note = "The task package says what is solved and how it is measured."
        return [*parts, absent(note)]
    rows = [
        element(
            "tr",
            element("td", one.about),
            element("td", one.found),
            element("td", one.because + (" (a guess)" if one.guess else "")),
        )
        for one in conclusions
    ]
    parts.append(table(("", "concluded", "because"), rows, words=True))
    if warnings:
        parts += [element("h3", "Be careful"), element("ul", *(element("li", w) for w in warnings))]
    return parts


def _files(outcome: Outcome, answer: Answer) -> list[Html]:
    predictions = "best/predictions.csv" if outcome.predictions else "no predictions"
    rows = [
        ("best/train.py", "the best script; cd best && python train.py runs it on best/data/"),
        (predictions, answer.note),
        ("result.json", "the figures of this page"),
    ]
    listed = [
        element("tr", element("td", element("code", name)), element("td", text))
        for name, text in rows
    ]
    return [element("h2", "Files"), table((), listed, words=True)]


def _cell(value: float | None, sure: Between | None, *, signed: bool = False) -> Html:
    if value is None:
        return element("td", UNKNOWN)
    ends = _ends(sure, signed=signed) if sure else ""
    return element("td", figure(value, signed=signed), element("small", ends))


def _ends(sure: Between | None, *, signed: bool = False) -> str:
    if sure is None:
        return UNKNOWN
    return f"{figure(sure.low, signed=signed)} to {figure(sure.high, signed=signed)}"

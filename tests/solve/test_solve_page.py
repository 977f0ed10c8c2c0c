"""Which script came of which, from recorded attempts alone, and how the page shows it."""

import re
from pathlib import Path
from xml.etree import ElementTree

from made_records import EDIT, RUN
from ml_agent.core.records import Completion, End, Metric, Step, Trajectory
from ml_agent.pages.histories import Moment, Node, step_chart, tree_chart
from ml_agent.solve.answer import Answer
from ml_agent.solve.attempts import Tried, attempts_of
from ml_agent.solve.certainty import Between
from ml_agent.solve.leaks import Leak
from ml_agent.solve.page import write_report
from ml_agent.solve.records import Conclusion
from ml_agent.solve.report import Better, Intervals, Outcome

SCRIPTS = {name: {"train.py": name.encode()} for name in ("start", "a", "b", "c", "yours", "d")}
ACCURACY = Metric(name="accuracy", higher_is_better=True)
EVIL = "</p><script>alert(1)</script>"


def played(
    began: str, *wrote: tuple[str, float | None], ideas: tuple[str, ...] = (), broken: bool = False
) -> Trajectory:
    """An attempt that wrote scripts, each with its score, and ran the last one again."""
    said = Completion(text="Thought: I try it.\nAction: Edit Script\nAction Input: {}", policy="p")
    steps = [
        Step(
            prompt=(0,),
            completion=said,
            action=EDIT,
            workspace=name,
            script="train.py",
            score=score,
        )
        for name, score in wrote
    ]
    if steps:
        steps.append(steps[-1].model_copy(update={"action": RUN}))
    return Trajectory(
        id=f"{began}-{wrote}",
        task="t",
        seed=0,
        policy="p",
        versions={},
        ideas=ideas,
        workspace=began,
        messages=(),
        steps=tuple(steps),
        end=End.BROKEN if broken else End.SUBMITTED,
        failure="SandboxError: gone" if broken else None,
    )


def tree(*attempts: Trajectory) -> list[Tried]:
    return attempts_of(attempts, ACCURACY, "start", 0.5, SCRIPTS.__getitem__)


def test_an_attempt_hangs_below_the_one_that_first_wrote_its_script() -> None:
    found = tree(
        played("start", ("a", 0.4), ("b", 0.6), ideas=("model-forest",)),
        played("b", ("c", 0.55)),
        played("a", ("d", 0.9)),
        played("d"),
    )
    assert [one.start for one in found] == [0, 1, 1, 3]
    assert [one.score for one in found] == [0.6, 0.55, 0.9, None]
    assert [one.came for one in found] == ["best so far", "not better", "best so far", "no score"]
    # The best script is of attempt 3, which began with a script of attempt 1.
    assert [one.leads for one in found] == [True, False, True, False]


def test_a_script_that_nobody_wrote_begins_a_tree_of_its_own() -> None:
    found = tree(played("yours"), played("yours", ("a", 0.7)), played("a", broken=True))
    assert [one.start for one in found] == [-1, -1, 2]
    assert [one.came for one in found] == ["no score", "best so far", "our failure"]
    assert [one.leads for one in found] == [False, True, False]


def test_reasons_are_the_ideas_or_else_what_was_thought() -> None:
    known, thought, nothing = tree(
        played("start", ("a", 0.6), ideas=("model-forest", "own-idea")),
        played("start", ("a", 0.6)),
        played("start"),
    )
    assert "forest" in known.why[0]
    assert known.why[1] == "own-idea"
    assert thought.why == ("I try it.",)
    assert nothing.why == ()


def test_a_terrible_score_does_not_flatten_the_others() -> None:
    nodes = [
        Node(number=0, parent=None, value=10.0, tip="", strong=True),
        Node(number=1, parent=0, value=8.0, tip="", strong=True),
        Node(number=2, parent=0, value=1e6, tip=""),
        Node(number=3, parent=0, value=None, tip=""),
    ]
    chart = ElementTree.fromstring(tree_chart(nodes, sign=-1, title="t", x_label="attempts"))
    spots = {float(one.attrib["cx"]): one.attrib for one in chart.iter("circle")}
    first, better, awful, none = (spots[x] for x in sorted(spots))
    heights = [float(one["cy"]) for one in (better, first, awful, none)]
    assert heights[0] - heights[1] > 60
    assert heights[2] < heights[1]
    assert heights[3] > heights[0]
    assert [one["class"] for one in (awful, none)] == ["hollow s0", "hollow s0"]
    assert len([one for one in chart.iter("line") if one.attrib["class"] == "twig"]) == 2


def test_a_score_stays_until_the_next_one() -> None:
    moments = [Moment(x=0, value=1.0, low=0.5, high=1.5), Moment(x=4, value=2.0)]
    chart = ElementTree.fromstring(step_chart(moments, until=8, title="t", x_label="x"))
    (line,) = chart.iter("path")
    points = [tuple(map(float, one.split())) for one in re.split("[ML]", line.attrib["d"])[1:]]
    assert [y for _, y in points] == [points[0][1], points[0][1], points[2][1], points[2][1]]
    assert points[1][0] == points[2][0]
    # Halfway between the first and the last.
    assert points[1][0] * 2 == points[0][0] + points[3][0]
    assert len([one for one in chart.iter("line") if "whisker" in one.attrib["class"]]) == 3


def test_the_page_tells_everything_and_nothing_of_it_becomes_markup(tmp_path: Path) -> None:
    outcome = Outcome(
        task="t",
        metric=ACCURACY,
        improved=True,
        starter=0.5,
        best=0.9,
        starter_test=0.5,
        best_test=0.8,
        test_rows=40,
        experiments=9,
        without_score=1,
        unstable=0,
        ended="the time is used up",
        stopped=False,
        script="best/train.py",
        predictions=None,
        intervals=Intervals(test_gain=Between(low=0.1, high=0.5)),
        improvements=(
            Better(
                experiment=3,
                seconds=4.0,
                score=0.9,
                between=Between(low=0.8, high=0.97),
                why=(EVIL,),
                diff=f"--- a\n+++ b\n@@ -1 +1 @@\n-x\n+{EVIL}",
            ),
        ),
        leaks=(Leak(check="labelled rows twice", found=EVIL, alarming=True),),
    )
    attempts = [
        Tried(number=1, start=0, why=(EVIL,), score=0.9, came="best so far", leads=True),
        Tried(number=2, start=1, why=(), score=None, came="no score"),
        Tried(number=3, start=-1, why=(), score=0.2, came="not better"),
    ]
    write_report(
        tmp_path,
        outcome,
        attempts,
        statement=EVIL,
        seconds=75.0,
        conclusions=[Conclusion(about="target", found=EVIL, because=EVIL, guess=True)],
        warnings=[EVIL],
        answer=Answer(folder=tmp_path / "best", predictions=None, note=EVIL),
    )
    page = (tmp_path / "report.html").read_text()
    assert "<script" not in page
    # Statement, why and diff, its tooltips, leak, conclusion, warning, note of the files.
    assert page.count("&lt;script&gt;alert(1)&lt;/script&gt;") >= 9
    assert not re.search(r"""(src|href|url)\s*[=(]""", page)
    assert "+0.1 to +0.5" in page
    assert "Validation minus test: +0.1." in page
    assert "look at this first" in page
    assert "1 min 15 s of running; 1 led to no score" in page
    assert "1 attempt that led nowhere" in page
    assert "a script that no attempt had written" in page

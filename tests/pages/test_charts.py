import math
import re
from xml.etree import ElementTree

import pytest

from ml_agent.pages.charts import (
    Mark,
    Row,
    Series,
    dot_chart,
    line_chart,
    running_mean,
)
from ml_agent.pages.drawing import ticks

SVG = dict[str, list[ElementTree.Element]]


def drawn(markup: str) -> SVG:
    """Elements of a chart by tag; a chart that is not well-formed does not parse."""
    found: SVG = {}
    for node in ElementTree.fromstring(markup).iter():
        found.setdefault(node.tag, []).append(node)
    return found


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0.03, 0.91, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (0.0, 1.0, [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (-0.12, 0.31, [-0.2, -0.1, 0.0, 0.1, 0.2, 0.3, 0.4]),
        (0.0002, 0.0011, [0.0002, 0.0004, 0.0006, 0.0008, 0.001, 0.0012]),
    ],
)
def test_ticks_are_round_and_span_the_data(low: float, high: float, expected: list[float]) -> None:
    assert ticks(low, high) == pytest.approx(expected)


def test_ticks_of_a_count_are_whole() -> None:
    assert ticks(0, 3, whole=True) == [0, 1, 2, 3]


@pytest.mark.parametrize("value", [0.0, 0.7, -3.0])
def test_a_single_value_has_room_around_it(value: float) -> None:
    found = ticks(value, value)
    assert found[0] < value < found[-1]


def test_a_running_mean_looks_both_ways() -> None:
    assert running_mean([1, 2, 3, 8], 1) == [1.5, 2, 13 / 3, 5.5]


def test_values_that_are_not_finite_leave_a_gap_in_the_line() -> None:
    points = [(1, 0.1), (2, math.nan), (3, 0.3), (4, 0.4)]
    chart = drawn(line_chart([Series(name="reward", points=points)], title="reward"))
    path = chart["path"][0].attrib["d"]
    assert re.sub(r"[\d. ]", "", path) == "MML"
    assert len(chart["circle"]) == 3


def test_noisy_lines_get_a_running_mean() -> None:
    points = [(float(at), float(at % 3)) for at in range(30)]
    assert len(drawn(line_chart([Series(name="x", points=points)], title="x"))["path"]) == 2


def test_a_line_of_one_point_is_a_dot() -> None:
    chart = drawn(line_chart([Series(name="x", points=[(0, 0.5)])], title="x"))
    assert len(chart["circle"]) == 1


def test_dots_lie_on_the_scale_of_their_ticks() -> None:
    rows = [Row(label="sft", marks=[Mark(value=0.5, low=0.25, high=1.0)])]
    chart = drawn(dot_chart(rows, title="gain", x_label="gain", guides=[(0.0, "starter")]))
    at = {node.text: float(node.attrib["x"]) for node in chart["text"]}
    assert float(chart["circle"][-1].attrib["cx"]) == pytest.approx((at["0.4"] + at["0.6"]) / 2)
    whisker = next(node for node in chart["line"] if "whisker" in node.attrib["class"])
    assert float(whisker.attrib["x2"]) == pytest.approx(at["1.0"])


def test_labels_are_escaped() -> None:
    rows = [Row(label="<script>", marks=[Mark(value=0.5)], note="a & b")]
    texts = [node.text for node in drawn(dot_chart(rows, title="<t>", x_label="x"))["text"]]
    assert {"<script>", "a & b"} <= set(texts)

"""An edit puts lines into a script, and mends how far they are indented if that alone is wrong."""

import gc
import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import pytest

from ml_agent.env.edits import insert_code

SCRIPT = ["def fit(x):", "    model = Ridge()", "    return model.fit(x)", "", "fit(1)"]


def test_code_that_fits_is_taken_as_it_is_written() -> None:
    assert insert_code(SCRIPT, 2, 2, ["    model = Lasso()"])[1] == "    model = Lasso()"
    # Ends the function early, which is Python: nobody knows that it was not meant.
    assert insert_code(SCRIPT, 2, 3, ["    pass", "x = 2"])[1:3] == ["    pass", "x = 2"]


@pytest.mark.parametrize(
    ("written", "placed"),
    [
        (["import os", "model = Lasso()"], ["    import os", "    model = Lasso()"]),
        (["        model = Lasso()"], ["    model = Lasso()"]),
        (["if x:", "    model = 1"], ["    if x:", "        model = 1"]),
    ],
)
def test_code_that_stands_too_far_left_or_right_is_moved(
    written: list[str], placed: list[str]
) -> None:
    moved = insert_code(SCRIPT, 2, 2, written)
    assert moved == [SCRIPT[0], *placed, *SCRIPT[2:]]


def test_code_before_a_line_is_moved_to_where_that_line_stands() -> None:
    assert insert_code(SCRIPT, 3, 2, ["import os"])[2] == "    import os"
    assert insert_code(SCRIPT, 5, 4, ["  import os"])[4] == "import os"
    assert insert_code(SCRIPT, 6, 5, ["    import os"])[5] == "import os"


@pytest.mark.parametrize(
    "written", [["  model = ("], ["    x = 1", "  y = 2"], ["\0"], ["(" * 5000]]
)
def test_code_that_no_move_can_mend_is_left_alone(written: list[str]) -> None:
    assert insert_code(SCRIPT, 2, 2, written) == [SCRIPT[0], *written, *SCRIPT[2:]]


def test_lines_can_be_taken_away() -> None:
    assert insert_code(SCRIPT, 2, 2, []) == [SCRIPT[0], *SCRIPT[2:]]
    assert insert_code(SCRIPT, 2, 3, []) == [SCRIPT[0], *SCRIPT[3:]]


def test_a_script_that_was_broken_before_is_left_alone() -> None:
    broken = ["x = (", "    y = 1"]
    assert insert_code(broken, 2, 2, ["y = 2"]) == ["x = (", "y = 2"]


def test_doubtful_escapes_in_a_script_warn_nobody() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert insert_code(SCRIPT, 5, 5, [r"fit('\d')"])[4] == r"fit('\d')"


def test_many_threads_may_edit_at_once_though_pythons_parser_counts_depth_for_all_of_them() -> None:
    script = [f"x{i} = [a for a in range({i}) if a] + f(g(1, y={i}))" for i in range(100)]

    def yielding(*_: object) -> None:
        time.sleep(1e-5)

    def edit(depth: int) -> list[str]:
        return edit(depth - 1) if depth else insert_code(script, 1, 1, ["import os"])

    before = gc.get_threshold()
    # The collector runs while syntax trees are built; here it lets another thread go on each time.
    gc.set_threshold(50)
    gc.callbacks.append(yielding)
    try:
        with ThreadPoolExecutor(4) as workers:
            found = list(workers.map(edit, [0, 5, 10, 15] * 10))
    finally:
        gc.callbacks.remove(yielding)
        gc.set_threshold(*before)
    assert found == [["import os", *script[1:]]] * 40

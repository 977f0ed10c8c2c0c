"""Scripts told anew do what they did."""

import contextlib
import functools
import io
import re
from pathlib import Path

import playbook_scripts as scripts
import pytest

from ml_agent.agents.playbook import retold
from ml_agent.tasks import catalogue

WAYS = range(1, 9)
ASKS_LITTLE = re.sub(r"\nprint.*", "", scripts.FLAT).replace("alpha=1.0", "alpha=0.5, tol=1e-3")


def _done(source: str) -> tuple[str, str]:
    """What a script prints, and its predictions."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(source, "train.py", "exec"), {"__name__": "__main__"})
    return printed.getvalue(), Path("submission.csv").read_text()


@functools.cache
def tellings(source: str) -> list[str]:
    return [retold(source, way) for way in range(40)]


@pytest.mark.parametrize("source", [scripts.FLAT, scripts.FUNCTIONS, ASKS_LITTLE])
def test_the_output_and_the_predictions_stay_the_same(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts.write_houses(tmp_path)
    monkeypatch.chdir(tmp_path)
    told = {retold(source, way) for way in WAYS}
    assert len(told) > 4
    expected = _done(source)
    for one in told:
        assert _done(one) == expected, one


def test_the_first_way_is_the_script_itself_and_equal_ways_are_equal() -> None:
    assert retold(scripts.FLAT, 0) == scripts.FLAT
    for way in WAYS:
        assert retold(scripts.FLAT, way) == retold(scripts.FLAT, way)


def test_every_starter_is_told_in_several_ways_that_are_python() -> None:
    for name, package in catalogue().items():
        starter = package.starter.decode()
        told = {retold(starter, way) for way in range(8)}
        assert len(told) > 1, name
        for one in told:
            compile(one, name, "exec")


def test_each_habit_of_writing_is_found_both_ways() -> None:
    told = [retold(scripts.FLAT, way) for way in range(24)]
    for habit in (".fit(", "def ", "sklearn import linear_model", "'price'", 'houses["price"]'):
        with_it = [habit in one for one in told]
        assert any(with_it), habit
    assert any(").fit(" in one for one in told)
    assert any(").fit(" not in one for one in told)


@pytest.mark.parametrize(
    ("habit", "written"),
    [
        ("settings apart", r"= \{\"alpha\": 0.5, \"tol\": 1e-3\}\n(.*\n)*.*Ridge\(\*\*\w+\)"),
        ("constants", r"ALPHA = 0.5\n *TOL = 1e-3\n(.*\n)*.*alpha=ALPHA,\s+tol=TOL"),
        ("a pipeline", r"make_pipeline\(|Pipeline\(\[\("),
        ("a function that makes it", r"def \w+_model\(\):\n    return (\w+\.)?Ridge\("),
        (
            "a class around it",
            r"class \w+:\n(.*\n)* +self\.\w+ = (\w+\.)?Ridge\((.*\n)*\w+ = \w+\(\)",
        ),
        ("an argument a line", r"Ridge\(\n +\S+,\n +\S+,\n *\)"),
    ],
)
def test_a_model_is_made_in_many_ways(habit: str, written: str) -> None:
    found = [re.search(written, one.replace("'", '"')) is not None for one in tellings(ASKS_LITTLE)]
    assert any(found), habit
    assert not all(found), habit


def test_a_model_that_is_asked_for_more_than_a_pipeline_has_stands_in_none() -> None:
    asks_more = ASKS_LITTLE + "print(model.coef_)\n"
    assert not any("ipeline(" in one for one in tellings(asks_more))


@pytest.mark.parametrize(
    "line",
    [
        "print(model.coef_)",
        "score = cross_val_score(model, X, y)",
        "model.fit(X, y, sample_weight=y)",
        "class Other:\n    pass",
        "print(model.fit(X, y).predict(X))",
        "other = model.fit(X, y)",
        "list(map(model.predict, [X]))",
        "model.fit(\n    X, y,\n    sample_weight=y)",
        "model.fit(X, y, w)",
        "model.predict(X=X)",
        "model.predict(X, return_std=True)",
        "also = model = Ridge(alpha=0.5, tol=1e-3)",
        "model = Ridge(alpha=0.5, tol=1e-3).fit(X, y, w)",
        "model = (Ridge(alpha=0.5, tol=1e-3).fit(X, y).predict(X))",
        "del model",
    ],
)
def test_a_model_that_a_class_cannot_stand_for_stands_in_none(line: str) -> None:
    told = tellings(f"{ASKS_LITTLE}{line}\n")
    assert not any(re.search(r"self\.\w+ = ", one) for one in told)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("import Ridge\n", "import (\n    Ridge,\n)\n"),
        ("import Ridge\n", "import \\\n    Ridge\n"),
        ("import pandas", '"""Prices.\n\nfrom 1990 on."""\nimport pandas'),
        ("new =", "import sys\nnew ="),
        ('new["', 'print("""a\n\n\n\n\nb""")\nnew["'),
    ],
)
def test_however_imports_stand_a_script_does_what_it_did(
    old: str, new: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts.write_houses(tmp_path)
    monkeypatch.chdir(tmp_path)
    source = ASKS_LITTLE.replace(old, new, 1)
    assert source != ASKS_LITTLE
    expected = _done(source)
    for one in set(tellings(source)):
        assert _done(one) == expected, one


def test_what_only_a_function_imports_is_not_used_outside_of_it() -> None:
    head, body = "import pandas as pd\nfrom sklearn.linear_model import Ridge\n", "data ="
    source = ASKS_LITTLE.replace(head, "import pandas as pd\n")
    inside = "    " + source[source.index("houses") :].rstrip().replace("\n", "\n    ")
    lazy = f"def go():\n    from sklearn.linear_model import Ridge\n{inside}\n\n\n{body} go()\n"
    for one in tellings(f"import pandas as pd\n\n\n{lazy}"):
        assert "class " not in one
        assert "_model()" not in one


def test_a_class_around_a_model_does_what_the_script_did(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    scripts.write_houses(tmp_path)
    monkeypatch.chdir(tmp_path)
    score = 'print(model.score(houses[used].fillna(0), houses["price"]))\n'
    for source in (ASKS_LITTLE, ASKS_LITTLE + score):
        held = [one for one in tellings(source) if "class " in one]
        assert held
        for one in held:
            assert _done(one) == _done(source), one


def test_what_is_no_python_comes_back_as_it_is() -> None:
    assert retold("def f(:\n", 3) == "def f(:\n"
    assert retold("", 3) == ""


def test_a_name_that_is_taken_is_not_given_again() -> None:
    source = 'y = 1\nvalue = {"price": 2}\nprice = value["price"]\nprint(y, price)\n'
    renamed = 0
    for way in range(12):
        printed = io.StringIO()
        told = retold(source, way)
        with contextlib.redirect_stdout(printed):
            exec(compile(told, "train.py", "exec"), {"__name__": "__main__"})
        assert printed.getvalue() == "1 2\n", told
        renamed += "price =" not in told
    assert renamed > 3

"""Task packages: whole ones load, every fault is one clear line."""

from pathlib import Path

import pytest

from ml_agent.core.errors import TaskError, UsageError
from ml_agent.tasks import catalogue, find_package, load_package
from ml_agent.tasks.card import FILES


def test_a_whole_package_loads(write_package):
    package = load_package(write_package())
    assert package.card.id == "tiny-line"
    assert package.card.budget.steps == 4
    assert package.card.budget.wall_s == 1800.0  # the default of core.records.Budget
    assert package.statement == "Predict y from x; mean absolute error."
    assert b"halves" in package.starter
    assert b"slope" in package.reference


@pytest.mark.parametrize("name", FILES)
def test_a_missing_file_is_named(write_package, name):
    with pytest.raises(TaskError, match=f"has no {name}"):
        load_package(write_package({name: None}))


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('name = "mae"', 'name = "maee"', "'maee' is not one of: accuracy"),
        ("higher_is_better = false", "higher_is_better = true", "mae has higher_is_better = false"),
        ('"tabular regression"', '"tables"', "domain: Input should be 'tabular classification'"),
        ('"train"', '"training"', "role: Input should be 'train' or 'held-out'"),
        ("seeds = [0, 1]", "seeds = []", "seeds: "),
        ("seeds = [0, 1]", "seeds = [1, 1]", r"seeds repeat: \[1, 1\]"),
        ("steps = 4", "steps = 0", "budget.steps is 0"),
        ("cpu_s = 20.0", "cpu_s = -1.0", "budget.experiment.cpu_s is -1.0"),
        ("steps = 4", "stepps = 4", "budget.stepps: Extra inputs"),
        ('id = "tiny-line"', 'id = "Tiny Line"', "id: "),
        ('licence = "CC0"', "", "source.licence: Field required"),
        ("[metric]", "[metric", "is not TOML"),
    ],
)
def test_a_wrong_card_says_file_field_and_fault(write_package, old, new, said):
    with pytest.raises(TaskError, match=said) as caught:
        load_package(write_package({"task.toml": (old, new)}))
    assert "task.toml" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_wheel_member_stays_inside_the_wheel(write_package):
    wheel = '[[source.wheels]]\nname="a"\nversion="1"\nsha256="' + "0" * 64 + '"\nmembers=["../b"]'
    with pytest.raises(TaskError, match=r"'\.\./b' is not a path inside a wheel"):
        load_package(write_package({"task.toml": ('"made here"', f'"made here"\n{wheel}')}))


@pytest.mark.parametrize("text", ["", "one\ntwo\nthree\n"])
def test_a_statement_has_one_or_two_lines(write_package, text):
    with pytest.raises(TaskError, match="the statement is one or 2"):
        load_package(write_package({"statement.md": text}))


def test_a_package_is_found_by_its_folder(write_package):
    folder = write_package()
    assert find_package(str(folder)).folder == folder


def test_every_shipped_package_loads_under_its_own_name():
    shipped = catalogue()
    assert list(shipped) == sorted(shipped)
    assert all(find_package(name) == package for name, package in shipped.items())


def test_a_misspelt_name_is_answered_with_the_nearest():
    name = next(iter(catalogue()))
    with pytest.raises(UsageError, match=f"Did you mean {name}"):
        find_package(name + "x")


def test_an_unknown_name_is_a_usage_error(tmp_path: Path):
    with pytest.raises(UsageError, match="no task is called 'no-such-task'"):
        find_package("no-such-task")
    with pytest.raises(UsageError, match="there is no folder"):
        find_package(str(tmp_path / "nothing"))

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_agent.agents.playbook.edits import quoted, smallest_edit
from ml_agent.core.actions import EditScript
from ml_agent.core.errors import UsageError

LINES = st.lists(st.sampled_from(["", "a", "b", "    c = 1"]), max_size=8)


def carried_out(edit: EditScript, old: list[str]) -> list[str]:
    new = list(old)
    new[edit.start_line_number - 1 : edit.end_line_number] = edit.new_code.splitlines()
    return new


def text(lines: list[str]) -> str:
    return "".join(line + "\n" for line in lines)


@given(LINES, LINES)
def test_an_edit_carried_out_gives_exactly_the_new_lines(old: list[str], new: list[str]) -> None:
    if old == new:
        with pytest.raises(UsageError):
            smallest_edit(text(old), text(new), "s.py", "s.py")
    else:
        assert carried_out(smallest_edit(text(old), text(new), "s.py", "s.py"), old) == new


@given(LINES, LINES)
def test_no_shorter_range_of_lines_would_do(old: list[str], new: list[str]) -> None:
    if old == new:
        return
    edit = smallest_edit(text(old), text(new), "s.py", "s.py")
    replaced = edit.end_line_number - edit.start_line_number + 1
    shortest = min(
        end - start
        for start in range(len(old) + 1)
        for end in range(start, len(old) + 1)
        if old[:start] == new[:start]
        and start + len(old) - end <= len(new)
        and old[end:] == new[len(new) - (len(old) - end) :]
    )
    # What is only inserted is written with a neighbour, if there is one.
    assert replaced == (shortest or min(1, len(old)))


def test_a_changed_line_is_one_replaced_line() -> None:
    edit = smallest_edit("a\nb\nc\n", "a\nB\nc\n", "in.py", "out.py")
    assert (edit.start_line_number, edit.end_line_number, edit.new_code) == (2, 2, "B\n")
    assert (edit.script_name, edit.save_name) == ("in.py", "out.py")


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("a\nc\n", "a\nb\nc\n", (2, 2, "b\nc\n")),
        ("a\n", "a\nb\n", (1, 1, "a\nb\n")),
        ("", "a\n", (1, 0, "a\n")),
    ],
)
def test_an_inserted_line_is_written_with_its_neighbour(
    old: str, new: str, expected: tuple[int, int, str]
) -> None:
    edit = smallest_edit(old, new, "s.py", "s.py")
    assert (edit.start_line_number, edit.end_line_number, edit.new_code) == expected


def test_a_quotation_shows_the_first_and_the_last_line_with_their_numbers() -> None:
    edit = smallest_edit("a\nb\nc\nd\n", "a\nB\nC\nD\n", "s.py", "s.py")
    assert quoted(edit, "a\nb\nc\nd\n") == "b |2\nd |4"
    one = smallest_edit("a\n", "b\n", "s.py", "s.py")
    assert quoted(one, "a\n") == "a |1"

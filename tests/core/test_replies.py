"""One grammar reads every reply, and says what is wrong with a bad one."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ml_agent.core.actions import ACTIONS, EditScript, ExecuteScript, InspectLines, ListFiles
from ml_agent.core.replies import PAPER_FIELDS, format_reply, parse_reply

EVERYTHING = tuple(ACTIONS)


def reply(name: str, given_input: str) -> str:
    return f"Thought: because\nAction: {name}\nAction Input: {given_input}"


def test_a_written_reply_is_read_back_as_the_same_action() -> None:
    action = EditScript(
        script_name="train.py",
        start_line_number=3,
        end_line_number=4,
        new_code='x = "a\\n"\n    y = 2',
        save_name="new/train.py",
    )
    for fields in ({"Thought": "try this"}, dict.fromkeys(PAPER_FIELDS, "said")):
        assert parse_reply(format_reply(action, fields=fields), EVERYTHING).action == action


@given(st.text())
def test_no_text_makes_the_parser_fail(text: str) -> None:
    parsed = parse_reply(text, EVERYTHING)
    assert (parsed.action is None) == (parsed.invalid is not None)


@pytest.mark.parametrize("given_input", ['{"n": ' + "1" * 5000 + "}", "[" * 100_000])
def test_json_that_python_refuses_to_read_is_no_action(given_input: str) -> None:
    parsed = parse_reply(reply("Execute Script", given_input), EVERYTHING)
    why = "nested too deeply, or too long a number"
    assert parsed.invalid == f"the action input is not JSON: {why}"


@given(st.text(), st.integers(1, 50), st.integers(0, 50))
def test_any_code_survives_the_way_through_a_reply(code: str, first: int, more: int) -> None:
    action = EditScript(
        script_name="a.py",
        start_line_number=first,
        end_line_number=first - 1 + more,
        new_code=code,
        save_name="a.py",
    )
    assert parse_reply(format_reply(action, fields={"Thought": "x"}), EVERYTHING).action == action


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hello", 'no line "Action: NAME"'),
        ("Action: Fly", "'Fly' is not one of"),
        ("Action: Execute Script", 'no line "Action Input'),
        (reply("Execute Script", "{script_name: 1}"), "not JSON"),
        (reply("Execute Script", '["train.py"]'), "not one JSON object"),
        (reply("Execute Script", '{"kind": "Final Answer"}'), "not one JSON object"),
        (reply("Execute Script", "{}"), "script_name: Field required"),
        (reply("Execute Script", '{"script_name": "../x"}'), "not a path inside the workspace"),
        (reply("Execute Script", '{"script_name": "/etc/x"}'), "not a path inside the workspace"),
        (reply("Execute Script", '{"script_name": "a", "fast": true}'), "Extra inputs"),
    ],
)
def test_a_bad_reply_is_told_why(text: str, reason: str) -> None:
    parsed = parse_reply(text, EVERYTHING)
    assert parsed.action is None
    assert reason in (parsed.invalid or "")


def test_an_action_that_is_not_offered_is_invalid() -> None:
    text = reply("List Files", '{"dir_path": "."}')
    assert parse_reply(text, EVERYTHING).action == ListFiles()
    assert "not one of: Execute Script" in (parse_reply(text, ["Execute Script"]).invalid or "")


def test_text_after_the_action_input_is_passed_over() -> None:
    text = reply("Execute Script", '{"script_name": "train.py"}') + "\nObservation: 0.99"
    assert parse_reply(text, EVERYTHING).action == ExecuteScript(script_name="train.py")


@pytest.mark.parametrize(
    ("first", "last", "valid"), [(1, 100, True), (1, 101, False), (5, 4, False)]
)
def test_at_most_a_hundred_lines_are_shown(first: int, last: int, valid: bool) -> None:
    given_input = {"script_name": "a", "start_line_number": first, "end_line_number": last}
    parsed = parse_reply(reply("Inspect Script Lines", json.dumps(given_input)), EVERYTHING)
    assert isinstance(parsed.action, InspectLines) is valid


PLACE = '{"start_line_number": 2, "end_line_number": 2, "script_name": "a.py", "save_name": "a.py"}'


def test_code_stands_below_the_json_as_it_will_stand_in_the_script() -> None:
    text = reply("Edit Script", f'{PLACE}\n```python\n    x = "a\\n"\n\n```\nDone.')
    action = parse_reply(text, EVERYTHING).action
    assert isinstance(action, EditScript)
    assert action.new_code == '    x = "a\\n"\n\n'
    assert format_reply(action, fields={"Thought": "because"}) == text.removesuffix("\nDone.")


@pytest.mark.parametrize("block", ["", "\n```python\nx = 1", "\nx = 1\n```", "\n```python x```"])
def test_an_edit_whose_code_is_missing_or_cut_off_is_invalid(block: str) -> None:
    parsed = parse_reply(reply("Edit Script", PLACE + block), EVERYTHING)
    assert parsed.action is None and "```python block" in (parsed.invalid or "")


def test_code_inside_the_json_is_read_too_and_a_block_after_it_is_passed_over() -> None:
    inside = PLACE.replace("}", ', "new_code": "x = 1"}')
    action = parse_reply(reply("Edit Script", f"{inside}\n```\ny\n```"), EVERYTHING).action
    assert isinstance(action, EditScript) and action.new_code == "x = 1\n"


def test_code_that_holds_a_block_itself_is_written_into_the_json() -> None:
    action = EditScript(
        start_line_number=1,
        end_line_number=1,
        script_name="a.py",
        save_name="a.py",
        new_code='"""\n```\nx\n```\n"""',
    )
    text = format_reply(action, fields={"Thought": "x"})
    assert text.splitlines()[-1].startswith("Action Input: {")
    assert parse_reply(text, EVERYTHING).action == action

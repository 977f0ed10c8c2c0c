import playbook_scripts as scripts
import pytest

from ml_agent.agents.playbook import PlaybookExpert
from ml_agent.core.actions import (
    ACTIONS,
    Action,
    EditScript,
    ExecuteScript,
    FinalAnswer,
    InspectLines,
)
from ml_agent.core.errors import UsageError
from ml_agent.core.listing import format_listing
from ml_agent.core.records import Message
from ml_agent.core.replies import PAPER_FIELDS, parse_reply

CRASH = "NameError: name 'HistGradientBoostingRegressor' is not defined"
NAME_ERROR = f"Execute Script train.py -> crashed: {CRASH}"
EDIT = "Edit Script train.py lines 8-8 -> saved to train.py"
SCORED = "Execute Script train.py -> validation mae 3.21"


def compact(source: str, *steps: str) -> list[Message]:
    lines = [f"Step {number}: {step}" for number, step in enumerate(steps, 1)]
    text = "\n".join(["Task: prices", format_listing("train.py", source), *lines])
    return [Message(role="system", text="Improve."), Message(role="user", text=text)]


def decide(ideas: list[str], messages: list[Message], seed: int = 0) -> Action:
    (reply,) = PlaybookExpert([ideas]).act([messages], seeds=[seed])
    assert reply.completion.policy == "playbook-1"
    parsed = parse_reply(reply.completion.text, ACTIONS)
    assert parsed.action == reply.action is not None
    return parsed.action


def carried_out(edit: Action, source: str) -> str:
    assert isinstance(edit, EditScript)
    lines = source.splitlines()
    lines[edit.start_line_number - 1 : edit.end_line_number] = edit.new_code.splitlines()
    return "\n".join(lines) + "\n"


def test_it_carries_out_runs_and_finishes_its_ideas_one_by_one() -> None:
    ideas = ["data-standardise", "learning-weaker-penalty"]
    first = decide(ideas, compact(scripts.FLAT))
    source = carried_out(first, scripts.FLAT)
    assert "make_pipeline(StandardScaler(), Ridge(alpha=1.0))" in source

    assert decide(ideas, compact(source, EDIT)) == ExecuteScript(script_name="train.py")
    second = decide(ideas, compact(source, EDIT, SCORED))
    source = carried_out(second, source)
    assert "make_pipeline(StandardScaler(), Ridge(alpha=0.01))" in source

    assert isinstance(decide(ideas, compact(source, EDIT, SCORED, EDIT)), ExecuteScript)
    assert isinstance(decide(ideas, compact(source, EDIT, SCORED, EDIT, SCORED)), FinalAnswer)


def test_a_crash_is_mended_before_the_next_idea() -> None:
    ideas = ["model-boosting-unimported", "learning-smaller-rate"]
    source = carried_out(decide(ideas, compact(scripts.FLAT)), scripts.FLAT)
    mending = decide(ideas, compact(source, EDIT, NAME_ERROR))
    source = carried_out(mending, source)
    assert "from sklearn.ensemble import HistGradientBoostingRegressor\n" in source

    done = (EDIT, NAME_ERROR, EDIT, SCORED)
    assert "learning_rate=0.03" in carried_out(decide(ideas, compact(source, *done)), source)


def test_a_mending_that_did_not_help_is_not_tried_again() -> None:
    ideas = ["model-boosting-unimported"]
    source = carried_out(decide(ideas, compact(scripts.FLAT)), scripts.FLAT)
    action = decide(ideas, compact(source, EDIT, NAME_ERROR, EDIT, NAME_ERROR))
    assert isinstance(action, FinalAnswer)


def test_an_idea_that_does_not_apply_is_skipped() -> None:
    action = decide(["data-bigrams", "learning-weaker-penalty"], compact(scripts.FLAT))
    assert isinstance(action, EditScript) and "alpha=0.01" in action.new_code


def test_an_invalid_step_changes_nothing() -> None:
    plain = decide(["data-standardise"], compact(scripts.FLAT))
    assert decide(["data-standardise"], compact(scripts.FLAT, "invalid action: no JSON")) == plain


def test_in_a_conversation_it_looks_before_every_edit() -> None:
    ideas = ["data-standardise", "learning-weaker-penalty"]
    expert = PlaybookExpert([ideas], fields="paper")
    messages = [Message(role="system", text="Improve."), Message(role="user", text="Task: prices")]
    source, kinds = scripts.FLAT, []
    for step in range(8):
        (reply,) = expert.act([messages], seeds=[step])
        assert all(f"{label}: " in reply.completion.text for label in PAPER_FIELDS)
        match reply.action:
            case InspectLines():
                told = format_listing("train.py", source)
            case EditScript() as edit:
                source, told = carried_out(edit, source), "--- train.py\n+++ train.py"
            case ExecuteScript():
                told = "validation mae 3.0"
            case _:
                told = "end"
        kinds.append(reply.action.kind if reply.action else None)
        messages += [
            Message(role="assistant", text=reply.completion.text),
            Message(role="user", text=told),
        ]
    look_edit_run = ["Inspect Script Lines", "Edit Script", "Execute Script"]
    assert kinds == [*look_edit_run, *look_edit_run, "Final Answer", "Final Answer"]
    assert "make_pipeline(StandardScaler(), Ridge(alpha=0.01))" in source


def test_a_traceback_in_a_conversation_is_mended() -> None:
    ideas = ["model-boosting-unimported"]
    source = carried_out(decide(ideas, compact(scripts.FLAT)), scripts.FLAT)
    edit = 'Action: Edit Script\nAction Input: {"start_line_number": 8, '
    edit += (
        '"end_line_number": 8, "new_code": "", "script_name": "train.py", "save_name": "train.py"}'
    )
    run = 'Action: Execute Script\nAction Input: {"script_name": "train.py"}'
    crash = "Traceback (most recent call last):\n  ...\n"
    crash += f"{CRASH}\n"
    look = 'Action: Inspect Script Lines\nAction Input: {"script_name": "train.py", '
    look += '"start_line_number": 1, "end_line_number": 100}'
    shown = format_listing("train.py", source)
    messages = [Message(role="user", text="Task")]
    for said, told in ((edit, "a diff"), (run, crash), (look, shown)):
        messages += [Message(role="assistant", text=said), Message(role="user", text=told)]
    mended = carried_out(decide(ideas, messages), source)
    assert "from sklearn.ensemble import HistGradientBoostingRegressor\n" in mended


def test_an_edit_is_announced_by_its_idea_and_the_line_it_replaces() -> None:
    expert = PlaybookExpert([["learning-weaker-penalty"]])
    reply = expert.act([compact(scripts.FLAT)], seeds=[0])[0]
    assert isinstance(reply.action, EditScript)
    number = reply.action.start_line_number
    line = scripts.FLAT.splitlines()[number - 1]
    thought = reply.completion.text.partition("\nAction:")[0]
    assert thought.splitlines()[1:] == [f"{line} |{number}"]
    assert thought.startswith("Thought: I will ") and thought.splitlines()[0].endswith("I change:")


def test_each_history_needs_its_ideas() -> None:
    with pytest.raises(UsageError, match="2 histories for 1 lists"):
        PlaybookExpert([[]]).act([compact("x = 1\n")] * 2, seeds=[0, 0])

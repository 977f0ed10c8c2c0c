"""Recorded errors are corrected for real, and what is imitated of that is exact to the token."""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from ml_agent.agents import Agent, LLMAgent
from ml_agent.core.records import End, Trajectory
from ml_agent.env import PAPER_ACTIONS, PromptStyle
from ml_agent.models import Sampling, ScriptedModel
from ml_agent.models.chat import Chat
from ml_agent.models.local import load_network
from ml_agent.runtime import Attempt, Stagehand, rollouts
from ml_agent.sandbox import Snapshots
from ml_agent.store import Sample, Stage, Store
from ml_agent.tasks import PreparedTask
from ml_agent.train.failures import Failure, distinct, failed_samples, failures_in
from ml_agent.train.judging import corrections
from ml_agent.train.marks import IGNORED, Mark, labelled
from ml_agent.train.reflection import (
    ModelTeacher,
    PlaybookTeacher,
    Teacher,
    as_imitated,
    error_of,
    fit_to_imitate,
    helpful_ideas,
    is_mended,
    plan_reflections,
    reflect,
    reflected_examples,
    without_errors,
)


def say(action: str, **keys: object) -> str:
    return f"Thought: so\nAction: {action}\nAction Input: {json.dumps(keys)}"


def edit(code: str, last: int = 1) -> str:
    places = {"start_line_number": 1, "end_line_number": last, "new_code": code}
    return say("Edit Script", script_name="train.py", save_name="train.py", **places)


RUN = say("Execute Script", script_name="train.py")
# The starter guesses 6 where 10 is right: an error of 4.
WORSE, CRASH, BUG = edit("GUESS = 1.0"), edit("GUESS = math.sqrt(64)"), edit("GUESS = 1 / 0")
SILENT, BETTER = edit("print('no predictions')", 8), edit("GUESS = 9.0")


def scripted(*replies: str) -> LLMAgent:
    return LLMAgent(ScriptedModel(replies), offered=PAPER_ACTIONS, sampling=Sampling())


def collect(
    hand: Stagehand, store: Store, task: PreparedTask, *attempts: Sequence[str]
) -> list[Trajectory]:
    planned = [
        Attempt(prepared=task, agent=scripted(*said), seed=seed, steps=len(said))
        for seed, said in enumerate(attempts)
    ]
    return rollouts(planned, hand, store, Stage.COLLECT)


def failures(store: Store, task: PreparedTask) -> list[Failure]:
    return distinct(failures_in(store.select(stage=Stage.COLLECT), {"guess": task.task}))


@pytest.fixture
def playbook(guess_task: PreparedTask, tmp_path: Path) -> PlaybookTeacher:
    snapshots = Snapshots(tmp_path / "snapshots")
    return PlaybookTeacher(
        {"guess": guess_task.task},
        {},
        lambda workspace, script: snapshots.load(workspace)[script].decode(),
        style="compact",
    )


def reflected(
    found: Sequence[Failure],
    teacher: Teacher,
    hand: Stagehand,
    store: Store,
    task: PreparedTask,
) -> dict[str, Trajectory]:
    """What came of it, by what the error said."""
    planned = plan_reflections(found, teacher, {"guess": task}, store, style=hand.style)
    reflect(planned.attempts, hand, store)
    played = store.select(stage=Stage.REFLECT)
    return {one.steps[error_of(one)].completion.text: one for one in played}


def test_each_failed_step_is_found_once_and_the_run_that_shows_it_is_none(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask
) -> None:
    attempts = [[WORSE, RUN, BETTER], [RUN, "hello"], [BUG, RUN], [WORSE, SILENT, RUN]]
    played = collect(stagehand, store, guess_task, *attempts)
    found = list(failures_in(played, {"guess": guess_task.task}))
    assert [(one.step.parent, one.step.branch, one.mark) for one in found] == [
        (played[0].id, 0, Mark.WORSE),
        (played[1].id, 1, Mark.INVALID),
        (played[2].id, 0, Mark.CRASH),
        (played[3].id, 0, Mark.WORSE),
        (played[3].id, 1, Mark.MALFORMED),
    ]
    # The fourth is the first once more, and an earlier error is context as well.
    kept = distinct(found)
    assert [one.mark for one in kept] == [Mark.CRASH, Mark.INVALID, Mark.MALFORMED, Mark.WORSE]
    assert [step.step_ok for step in kept[2].past.steps] == [False, False]
    assert [one.mark for one in distinct(found, at_most=2)] == [Mark.CRASH, Mark.INVALID]
    # The same step has one reflection, also where it ended otherwise: killed for time, say.
    other = Failure(found[0].past, Mark.LIMIT)
    assert distinct([other, found[0]]) == [other]
    broken = [one.model_copy(update={"end": End.BROKEN}) for one in played]
    assert list(failures_in(broken, {"guess": guess_task.task})) == []


def test_a_correction_is_run_from_the_state_that_the_error_left(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask, playbook: PlaybookTeacher
) -> None:
    collect(stagehand, store, guess_task, [BETTER, CRASH], [WORSE], [SILENT], [BUG], ["hello"])
    found = reflected(failures(store, guess_task), playbook, stagehand, store, guess_task)
    # No idea of the playbook applies to a script of so few lines, so "hello" has no correction.
    assert set(found) == {CRASH, WORSE, SILENT, BUG}
    scores = {text: [step.score for step in one.steps] for text, one in found.items()}
    # Taken back to where it stood, or with `import math` added: an error of 10 - 8.
    assert scores == {
        CRASH: [1.0, None, None, 2.0],
        WORSE: [9.0, 9.0, 4.0],
        SILENT: [None, None, 4.0],
        BUG: [None, None, 4.0],
    }
    mended = {text for text, one in found.items() if is_mended(guess_task.task, one)}
    # The repaired script runs, and guesses worse than the 9 that stood there before.
    assert mended == {WORSE, SILENT, BUG}
    thoughts = {text: one.steps[-1].completion.text.splitlines()[0] for text, one in found.items()}
    assert thoughts == {
        CRASH: "Thought: The run crashed with NameError: name 'math' is not defined. I change:",
        WORSE: "Thought: The mae is 9.0000 now, which is worse, so I change that. I change:",
        SILENT: "Thought: The run left no score: the script wrote no submission.csv. I change:",
        BUG: "Thought: The run crashed with ZeroDivisionError: division by zero. I change:",
    }
    look = found[WORSE].prompt_of(2)[-1].text
    assert "Step 2: Execute Script train.py -> validation mae 9.0000" in look
    assert "GUESS = 1.0 |1" in look


def test_what_does_not_help_stays_in_the_record_and_is_not_imitated(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask
) -> None:
    collect(stagehand, store, guess_task, [WORSE], [BUG], ["hello"], [SILENT])
    # First what needs no look: to "hello". Then by what was wrong: crash, malformed, worse.
    corrections = (edit("GUESS = 2 / 0"), "what?", edit("GUESS = 5.0", 0), edit("GUESS = 0.5"))
    model = ScriptedModel(corrections)
    teacher = ModelTeacher(
        LLMAgent(model, offered=PAPER_ACTIONS, sampling=Sampling()), style="compact"
    )
    found = reflected(failures(store, guess_task), teacher, stagehand, store, guess_task)
    assert {one.steps[-1].completion.text for one in found.values()} == set(corrections)
    assert [one for one in found.values() if is_mended(guess_task.task, one)] == []
    assert fit_to_imitate(found.values(), {"guess": guess_task.task}) == []
    # It is told of the error, and the record holds what a policy would see.
    (invalid,) = [one for one in found.values() if one.steps[0].invalid]
    assert len(invalid.steps) == 2
    seen = invalid.prompt_of(1)
    asked = model.prompts[0]
    assert asked[-1].text.startswith(seen[-1].text)
    assert "was an error" in asked[-1].text
    assert "was an error" not in seen[-1].text


@pytest.mark.parametrize("style", ["compact", "paper"])
def test_an_edit_that_could_not_be_carried_out_needs_no_look(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask, style: PromptStyle
) -> None:
    hand = replace(stagehand, style=style)
    nowhere = edit("GUESS = 9.0", 30)
    collect(hand, store, guess_task, [nowhere])
    teacher = ModelTeacher(scripted(BETTER), style=style)
    (one,) = reflected(failures(store, guess_task), teacher, hand, store, guess_task).values()
    assert [step.completion.text for step in one.steps] == [nowhere, BETTER]
    assert is_mended(guess_task.task, one)


def test_an_error_is_not_taken_back_to_a_script_that_failed_as_well(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask, playbook: PlaybookTeacher
) -> None:
    collect(stagehand, store, guess_task, [BUG, WORSE])
    found = failures(store, guess_task)
    assert [one.mark for one in found] == [Mark.CRASH, Mark.WORSE]
    # The starter still stands before the first, and before the second what crashed.
    assert [playbook.agent_for(one) is None for one in found] == [False, True]


class Killed(BaseException):
    pass


def test_reflection_that_was_killed_goes_on_with_what_is_missing(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask, playbook: PlaybookTeacher
) -> None:
    collect(stagehand, store, guess_task, [WORSE, BUG], [SILENT], [BETTER, "hello", BUG])
    found, tasks = failures(store, guess_task), {"guess": guess_task}
    ended: list[str] = []

    def kill(trajectory: Trajectory) -> None:
        ended.append(trajectory.id)
        if trajectory.end is not None:
            raise Killed

    planned = plan_reflections(found, playbook, tasks, store, style="compact")
    assert (len(planned.attempts), planned.played, planned.unknown) == (4, 0, 1)
    with suppress(Killed):
        reflect(planned.attempts, stagehand, store, on_step=kill)
    before = {one.id: one.end for one in store.begun(Stage.REFLECT)}
    assert len(before) == 4
    assert None in before.values()

    planned = plan_reflections(found, playbook, tasks, store, style="compact")
    whole = [name for name, end in before.items() if end is not None]
    assert 1 <= len(whole) == planned.played
    assert len(planned.attempts) == 4 - len(whole)
    reflect(planned.attempts, stagehand, store)
    played = list(store.select(stage=Stage.REFLECT))
    assert sorted(one.id for one in played) == sorted(before)
    assert all(one.end is End.OUT_OF_BUDGET for one in played)
    assert sorted(step.score or 0.0 for one in played for step in one.steps[-1:]) == [1, 4, 4, 9]


def test_an_action_of_practice_that_failed_is_corrected_behind_the_steps_before_it(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask, playbook: PlaybookTeacher
) -> None:
    (recorded,) = collect(stagehand, store, guess_task, [BETTER, RUN])
    (other,) = collect(stagehand, store, guess_task, [BETTER, BUG])
    samples = [
        Sample(update=1, trajectory=recorded.id, t=1, step=other.steps[1], reward=0.0),
        Sample(update=1, trajectory=recorded.id, t=0, step=other.steps[0], reward=1.0),
        Sample(
            update=1, trajectory=recorded.id, t=1, step=other.steps[1], reward=None, failure="x"
        ),
    ]
    tasks = {"guess": guess_task.task}
    found = list(failed_samples(samples, store.get, tasks))
    assert [(one.step.parent, one.step.branch, one.mark) for one in found] == [
        (recorded.id, 1, Mark.CRASH)
    ]
    # The same error in the same place, whoever made it.
    assert found[0].id == distinct(failures_in([other], tasks))[0].id
    (one,) = reflected(found, playbook, stagehand, store, guess_task).values()
    assert [step.score for step in one.steps] == [1.0, None, None, 1.0]
    assert is_mended(guess_task.task, one)


def test_ideas_that_stand_in_the_prompts_stand_in_those_of_the_reflection(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask, playbook: PlaybookTeacher
) -> None:
    ideas = ("Guess more.", "Guess less.")
    attempt = Attempt(prepared=guess_task, agent=scripted(WORSE), seed=0, steps=1, idea_texts=ideas)
    rollouts([attempt], stagehand, store, Stage.COLLECT)
    (one,) = reflected(failures(store, guess_task), playbook, stagehand, store, guess_task).values()
    told = "\nTry these ideas first:\n- Guess more.\n- Guess less."
    assert [one.prompt_of(t)[-1].text.endswith(told) for t in range(3)] == [True] * 3


@pytest.fixture(scope="module")
def chat(tiny_model: Path) -> Chat:
    return load_network(str(tiny_model))[1]


@pytest.fixture
def conversation(stagehand: Stagehand, store: Store, guess_task: PreparedTask) -> Trajectory:
    """A good step, an error, the run that shows it, and a correction; each prompt goes on."""
    paper = replace(stagehand, style="paper")
    collect(paper, store, guess_task, [BETTER, WORSE])
    teacher = ModelTeacher(scripted(edit("GUESS = 9.5")), style="paper")
    (one,) = reflected(failures(store, guess_task), teacher, paper, store, guess_task).values()
    assert [step.score for step in one.steps] == [1.0, 9.0, 9.0, 0.5]
    return one


@pytest.mark.parametrize("masked", [True, False])
def test_the_labels_are_those_of_what_follows_the_error_and_of_the_error_only_if_asked_for(
    conversation: Trajectory, chat: Chat, masked: bool
) -> None:
    (one,) = labelled(chat, as_imitated(conversation, masked=masked))
    ids: list[int] = []
    labels: list[int] = []

    def add(text: str, imitated: bool) -> None:
        found = list(chat.tokenizer(text, add_special_tokens=False).input_ids)
        ids.extend(found)
        labels.extend(found if imitated else [IGNORED] * len(found))

    said = {BETTER: False, WORSE: not masked, conversation.steps[2].completion.text: True}
    said |= {conversation.steps[3].completion.text: True}
    *_, last = (conversation.prompt_of(t) for t in range(4))
    between = ""
    for message in (*last, last[0].model_copy(update={"role": "assistant", "text": None})):
        if message.role != "assistant":
            between += f"<|im_start|>{message.role}\n{message.text}<|im_end|>\n"
            continue
        text = message.text or conversation.steps[3].completion.text
        add(f"{between}<|im_start|>assistant\n", False)
        add(f"{text}<|im_end|>", said[text])
        between = "\n"
    assert list(one.ids) == ids
    assert list(one.labels) == labels


def test_the_examples_are_the_same_steps(
    conversation: Trajectory, guess_task: PreparedTask
) -> None:
    tasks = {"guess": guess_task.task}
    texts = [step.completion.text for step in conversation.steps]
    found = reflected_examples([conversation])
    seen = {one.reply: one.prompt for one in found}
    assert seen == {texts[t]: conversation.prompt_of(t) for t in (2, 3)}
    found = reflected_examples([conversation], masked=False)
    assert {one.reply for one in found} == set(texts[1:])
    # Imitated nowhere else either, if a filter keeps every step of the collection.
    shown = [one for one in found if one.reply == texts[1]]
    assert without_errors(found, [conversation]) == [one for one in found if one not in shown]
    # Where one answer is too long nothing of the trajectory is imitated.
    longest = max(map(len, texts[1:]))
    assert fit_to_imitate([conversation], tasks, longest=longest) == [conversation]
    assert fit_to_imitate([conversation], tasks, longest=longest - 1) == []
    assert fit_to_imitate([conversation], tasks, at_most=0) == []
    assert reflected_examples([]) == []


def test_an_error_that_is_context_in_a_later_reflection_is_imitated_in_its_own(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask
) -> None:
    worst = edit("GUESS = 50.0")
    collect(stagehand, store, guess_task, [WORSE, worst])
    teacher = ModelTeacher(scripted(edit("GUESS = 9.5")), style="compact")
    played = reflected(failures(store, guess_task), teacher, stagehand, store, guess_task)
    both = list(played.values())
    assert sorted(error_of(one) for one in both) == [0, 1]
    assert {WORSE, worst} <= {one.reply for one in reflected_examples(both, masked=False)}
    assert not {WORSE, worst} & {one.reply for one in reflected_examples(both)}


def test_a_reflection_that_could_not_begin_is_imitated_by_nobody(
    conversation: Trajectory, guess_task: PreparedTask
) -> None:
    broken = conversation.model_copy(update={"steps": (), "end": End.BROKEN})
    assert fit_to_imitate([broken], {"guess": guess_task.task}) == []
    assert corrections([broken], {"guess": guess_task.task}) == []


def test_ideas_that_helped_at_once_are_known_best_first(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask
) -> None:
    played = collect(stagehand, store, guess_task, [BETTER], [WORSE], [edit("GUESS = 8.0")])
    named = zip(played, ("data-a", "data-b", "data-c"), strict=True)
    by_playbook = [
        one.model_copy(update={"policy": "playbook-1", "ideas": (idea,)}) for one, idea in named
    ]
    tasks = {"guess": guess_task.task}
    assert helpful_ideas(by_playbook, tasks) == {"guess": ["data-a", "data-c"]}
    assert helpful_ideas(played, tasks) == {}


def test_a_teacher_that_fails_breaks_its_attempt_alone(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask, playbook: PlaybookTeacher
) -> None:
    collect(stagehand, store, guess_task, [WORSE], [BUG], [SILENT], [edit("GUESS = 0.0")])
    found = failures(store, guess_task)
    agents: Iterator[Agent | None] = iter(
        [ModelTeacher(scripted(), style="compact").agent_for(found[0])]
    )

    class OneFails:
        def agent_for(self, failure: Failure) -> Agent | None:
            return next(agents, None) or playbook.agent_for(failure)

    planned = plan_reflections(found, OneFails(), {"guess": guess_task}, store, style="compact")
    reflect(planned.attempts, stagehand, store)
    ends = {one.id: one.end for one in store.begun(Stage.REFLECT)}
    assert ends.pop(found[0].id) is End.BROKEN
    assert set(ends.values()) == {End.OUT_OF_BUDGET}
    again = plan_reflections(found, playbook, {"guess": guess_task}, store, style="compact")
    assert [one.id for one in again.attempts] == [found[0].id]

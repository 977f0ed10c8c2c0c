"""Whole attempts with a scripted model, real boxes, a real grader and a temporary store."""

import json
import os
import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from ml_agent.agents import LLMAgent, Reply
from ml_agent.compute import Scheduler
from ml_agent.core.actions import ExecuteScript
from ml_agent.core.errors import MLAgentError, ModelError, SandboxError
from ml_agent.core.records import Completion, End, Message, Step, Trajectory
from ml_agent.core.replies import parse_reply
from ml_agent.env import PAPER_ACTIONS, Experiments, PromptStyle
from ml_agent.models import Sampling, ScriptedModel
from ml_agent.rewards import Case, Linear, Sigmoid, case_of
from ml_agent.runtime import (
    Attempt,
    Stagehand,
    State,
    TimeLimit,
    alarm_if_broken,
    retry,
    rollouts,
)
from ml_agent.sandbox import ColdBox, Snapshots
from ml_agent.store import Stage, Store
from ml_agent.tasks import Grader, PreparedTask


def say(action: str, **keys: object) -> str:
    return f"Thought: so\nAction: {action}\nAction Input: {json.dumps(keys)}"


def edit(first: int, last: int, code: str, save: str = "train.py") -> str:
    return say(
        "Edit Script",
        script_name="train.py",
        start_line_number=first,
        end_line_number=last,
        new_code=code,
        save_name=save,
    )


RUN = say("Execute Script", script_name="train.py")
DONE = say("Final Answer", final_answer="done")
BETTER, CRASH = edit(1, 1, "GUESS = 8.0"), edit(1, 1, "GUESS = 1 / 0")
SILENT = edit(1, 8, "print('no predictions')")
FOREVER = edit(1, 1, "print('begun', flush=True)\nwhile True: pass")


def scripted(*replies: str) -> LLMAgent:
    return LLMAgent(ScriptedModel(replies), offered=PAPER_ACTIONS, sampling=Sampling())


def play(
    stagehand: Stagehand, store: Store, task: PreparedTask, *replies: str, steps: int = 8
) -> Trajectory:
    attempt = Attempt(prepared=task, agent=scripted(*replies), seed=0, steps=steps)
    (played,) = rollouts([attempt], stagehand, store, Stage.COLLECT)
    assert store.get(played.id) == played
    return played


@pytest.fixture
def played(stagehand: Stagehand, store: Store, guess_task: PreparedTask) -> Trajectory:
    """One attempt in which most things happen."""
    return play(stagehand, store, guess_task, RUN, BETTER, RUN, CRASH, RUN, SILENT, "hello", DONE)


def test_scores_and_failures_are_recorded_as_facts(played: Trajectory) -> None:
    assert played.end is End.SUBMITTED
    assert [step.score for step in played.steps] == [4.0, 2.0, 2.0, None, None, None, None, None]
    assert [case_of(step) for step in played.steps] == [
        Case.NEUTRAL,
        Case.EDIT,
        Case.NEUTRAL,
        Case.ERROR,
        Case.ERROR,
        Case.ERROR,
        Case.INVALID,
        Case.NEUTRAL,
    ]
    assert played.steps[5].malformed == "the script wrote no submission.csv"


def test_an_edit_that_halves_the_error_earns_half_the_way(
    played: Trajectory, guess_task: PreparedTask
) -> None:
    rewards = [Linear()(guess_task.task, played, t) for t in range(len(played.steps))]
    assert rewards == [0.0, 0.5, 0.0, -1.0, -1.0, -1.0, -1.0, 0.0]
    assert Sigmoid()(guess_task.task, played, 1) == pytest.approx(1.0)


def test_an_attempt_may_begin_with_the_starter_told_in_another_way(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask
) -> None:
    told = guess_task.workspace["train.py"].decode().replace("GUESS", "ESTIMATE")
    attempt = Attempt(prepared=guess_task, agent=scripted(RUN, DONE), seed=0, starter=told)
    (played,) = rollouts([attempt], stagehand, store, Stage.COLLECT)
    assert "ESTIMATE = " in played.prompt_of(0)[-1].text
    assert played.steps[0].score == 4.0
    assert again(stagehand, guess_task, played, 0, edit(1, 1, "ESTIMATE = 8.0")).score == 2.0


def test_an_attempt_that_goes_on_from_another_script_is_measured_from_there(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask
) -> None:
    onward = guess_task.task.model_copy(update={"m_init": 2.0})
    attempt = Attempt(
        prepared=replace(guess_task, task=onward),
        agent=scripted(edit(1, 1, "GUESS = 9.0"), DONE),
        seed=0,
        starter=guess_task.workspace["train.py"].decode().replace("6.0", "8.0"),
    )
    (played,) = rollouts([attempt], stagehand, store, Stage.SOLVE)
    assert store.get(played.id).m_init == 2.0
    # From an error of 2 to one of 1, on the way from the task's 4 to 0.
    assert Linear()(guess_task.task, played, 0) == 0.25


def test_a_deadline_cuts_the_last_run_short_and_begins_no_other(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask
) -> None:
    attempt = Attempt(
        prepared=guess_task,
        agent=scripted(FOREVER, RUN, DONE),
        seed=0,
        time=TimeLimit(deadline=time.monotonic() + 2.0),
    )
    (played,) = rollouts([attempt], stagehand, store, Stage.SOLVE)
    assert played.end is End.OUT_OF_BUDGET
    (cut,) = played.steps
    assert cut.execution is not None
    assert cut.execution.killed_by == "time"
    # The task allows 5 s.
    assert guess_task.task.budget.experiment.wall_s == 5.0
    assert cut.execution.wall_s < 5.0


def test_a_near_deadline_does_not_make_a_run_another_experiment(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask
) -> None:
    limits = guess_task.task.budget.experiment.model_copy(update={"wall_s": 900.0})
    budget = guess_task.task.budget.model_copy(update={"experiment": limits})
    roomy = replace(guess_task, task=guess_task.task.model_copy(update={"budget": budget}))
    # Less than the task allows, and less at the second step than at the first.
    limit = TimeLimit(deadline=time.monotonic() + 800.0)
    attempt = Attempt(prepared=roomy, agent=scripted(BETTER, RUN, DONE), seed=0, time=limit)
    (played,) = rollouts([attempt], stagehand, store, Stage.SOLVE)
    assert [step.execution.cached for step in played.steps if step.execution] == [False, True]


def test_the_rewards_own_run_is_not_shown(played: Trajectory) -> None:
    edited = played.steps[1]
    assert edited.observation == "Saved train.py."
    assert edited.execution is not None
    shown = "".join(message.text for message in played.prompt_of(2))
    assert "Saved train.py." not in shown
    assert "Step 2: Edit Script train.py lines 1-1 -> saved to train.py" in shown
    assert "2.0000" not in shown


def test_a_run_that_was_asked_for_is_told_with_its_score(played: Trajectory) -> None:
    assert played.steps[0].observation == "predicting 4 rows\nValidation mae: 4.0000"
    last = played.prompt_of(7)[-1].text
    assert "Step 3: Execute Script train.py -> validation mae 2.0000" in last
    assert "Step 5: Execute Script train.py -> crashed: ZeroDivisionError" in last
    assert 'Step 7: invalid action: no line "Action: NAME"' in last
    assert "Score of the first script: 4.0000, best so far: 2.0000" in last


def test_an_old_submission_is_never_graded_again(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask
) -> None:
    done = play(stagehand, store, guess_task, RUN, SILENT, RUN, DONE)
    assert done.steps[0].score == 4.0
    assert done.steps[2].score is None
    assert case_of(done.steps[2]) is Case.ERROR


def test_a_script_that_never_ends_is_a_limit_and_keeps_what_it_printed(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask
) -> None:
    quick = guess_task.task.budget.experiment.model_copy(update={"wall_s": 1.0})
    budget = guess_task.task.budget.model_copy(update={"experiment": quick})
    task = guess_task.task.model_copy(update={"budget": budget})
    impatient = PreparedTask(
        task=task,
        public=guess_task.public,
        answers=guess_task.answers,
        workspace=guess_task.workspace,
    )
    done = play(stagehand, store, impatient, FOREVER, RUN, DONE)
    assert done.steps[0].execution is not None
    assert done.steps[0].execution.killed_by == "time"
    assert case_of(done.steps[0]) is Case.CORNER
    assert done.steps[1].observation == "begun\nStopped: it met the time limit."


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (edit(30, 30, "x"), "train.py has only 8 lines"),
        (edit(1, 1, "x", save="data/predict.csv"), "data/ is read-only"),
        (edit(1, 1, "x", save="data"), "data/ is read-only"),
        (edit(1, 1, "x", save="./data/x"), "data/ is read-only"),
        (say("Execute Script", script_name="other.py"), "there is no file 'other.py'"),
        (say("List Files", dir_path="nowhere"), "there is no folder 'nowhere'"),
        (say("Copy File", source="nothing", destination="x"), "there is no file 'nothing'"),
        (
            say("Understand File", file_name="train.py", things_to_look_for="x"),
            "is not one of",
        ),
    ],
)
def test_an_impossible_action_changes_nothing(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask, reply: str, reason: str
) -> None:
    done = play(stagehand, store, guess_task, reply, DONE)
    assert done.steps[0].action is None
    assert reason in (done.steps[0].invalid or "")
    assert done.workspace_before(1) == done.workspace


def test_the_looking_actions_show_what_is_there(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask
) -> None:
    inspect = {"script_name": "train.py", "end_line_number": 2}
    done = play(
        stagehand,
        store,
        guess_task,
        say("List Files", dir_path="."),
        say("List Files", dir_path="data"),
        say("Copy File", source="train.py", destination="old/train.py"),
        say("Inspect Script Lines", start_line_number=1, **inspect),
        DONE,
    )
    told = [step.observation for step in done.steps]
    assert told[0].split("\n") == ["data/", "train.py"]
    assert told[1] == "predict.csv"
    assert told[2] == "Copied train.py to old/train.py."
    assert told[3] == "train.py, lines 1 to 2:\nGUESS = 6.0 |1\nimport csv |2"
    assert done.workspace_before(3) != done.workspace


def test_the_paper_style_keeps_the_whole_conversation(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask
) -> None:
    from dataclasses import replace

    done = play(replace(stagehand, style="paper"), store, guess_task, RUN, BETTER, DONE)
    assert [len(step.prompt) for step in done.steps] == [2, 4, 6]
    assert [message.role for message in done.prompt_of(2)] == [
        "system",
        "user",
        "assistant",
        "user",
        "assistant",
        "user",
    ]
    assert done.messages[3].text == "predicting 4 rows\nValidation mae: 4.0000"
    assert len(done.messages) == len(set(map(str, done.messages)))


def test_a_budget_of_steps_ends_an_attempt(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask
) -> None:
    done = play(stagehand, store, guess_task, *[RUN] * 5, steps=3)
    assert (done.end, len(done.steps)) == (End.OUT_OF_BUDGET, 3)


def test_the_same_experiment_is_not_run_twice(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask
) -> None:
    done = play(stagehand, store, guess_task, BETTER, RUN, RUN, DONE)
    ran = [step.execution for step in done.steps[:3]]
    assert [one.cached for one in ran if one] == [False, True, True]
    assert len({one.wall_s for one in ran if one}) == 1


def test_an_experiment_runs_on_the_cores_it_was_granted(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask
) -> None:
    core = max(os.sched_getaffinity(0))
    pinned = replace(stagehand, scheduler=Scheduler([core]))
    look = edit(1, 1, "import os\nGUESS = 6.0\nprint(os.sched_getaffinity(0))")
    done = play(pinned, store, guess_task, look, RUN, DONE)
    for step in done.steps[:2]:
        assert step.execution is not None
        assert step.execution.output.startswith(f"{{{core}}}\n")


def test_what_is_recorded_does_not_depend_on_how_many_run_at_once(
    tmp_path: Path, grader: Grader, stagehand: Stagehand, guess_task: PreparedTask
) -> None:
    def played(name: str, scheduler: Scheduler) -> list[Trajectory]:
        hand = replace(
            stagehand,
            experiments=Experiments(grader, Snapshots(tmp_path / "snapshots")),
            scheduler=scheduler,
        )
        plans = [(RUN, BETTER, DONE), (BETTER, CRASH, RUN), (CRASH, "hello"), (SILENT, RUN, DONE)]
        attempts = [
            Attempt(prepared=guess_task, agent=scripted(*plan), seed=number, steps=len(plan))
            for number, plan in enumerate(plans)
        ]
        kept = Store(tmp_path / name)
        done = rollouts(attempts, hand, kept, Stage.COLLECT)
        kept.close()
        return done

    def lasting(attempts: list[Trajectory]) -> list[list[object]]:
        return [
            [
                one.seed,
                one.end,
                *(step.model_copy(update={"execution": None}) for step in one.steps),
            ]
            for one in attempts
        ]

    cores = sorted(os.sched_getaffinity(0))
    alone = played("alone", Scheduler(cores, at_once=1))
    together = played("together", Scheduler(cores, memory_mib=1 << 20))
    assert lasting(alone) == lasting(together)
    assert [one.seed for one in alone] == [0, 1, 2, 3]


class FailingAgent:
    """An agent whose model is out of reach."""

    policy = "out-of-reach"

    def act(self, histories: Sequence[Sequence[Message]], *, seeds: Sequence[int]) -> list[Reply]:
        raise ModelError("no answer")


def test_our_failure_is_not_the_agents_and_stops_no_other(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask
) -> None:
    attempts = [
        Attempt(prepared=guess_task, agent=FailingAgent(), seed=0),
        Attempt(prepared=guess_task, agent=scripted(BETTER, DONE), seed=1),
    ]
    broken, whole = rollouts(attempts, stagehand, store, Stage.COLLECT)
    assert (broken.end, broken.failure) == (End.BROKEN, "ModelError: no answer")
    assert whole.end is End.SUBMITTED
    assert store.get(broken.id) == broken


def test_an_attempt_that_cannot_even_begin_is_broken_and_stops_no_other(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask, played: Trajectory
) -> None:
    lost = played.model_copy(update={"steps": (), "workspace": "0" * 64, "id": "lost"})
    agent, told = scripted(DONE), []
    attempts = [
        Attempt(prepared=guess_task, agent=agent, seed=0, workspace="0" * 64),
        Attempt(prepared=guess_task, agent=agent, seed=1, past=lost),
        Attempt(prepared=guess_task, agent=agent, seed=2),
    ]
    ended = rollouts(attempts, stagehand, store, Stage.REFLECT, on_step=told.append)
    assert [one.end for one in ended] == [End.BROKEN, End.BROKEN, End.SUBMITTED]
    assert [one.failure.partition(":")[0] for one in ended[:2]] == ["SandboxError"] * 2
    assert told == ended
    assert [store.get(one.id) for one in ended] == ended


def test_a_prompt_tells_how_many_steps_the_attempt_may_take(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask
) -> None:
    shown = [
        play(stagehand, store, guess_task, RUN, DONE, steps=steps).messages[-1].text
        for steps in (3, 5)
    ]
    assert [text.splitlines()[-1] for text in shown] == [
        "This is step 2 of 3.",
        "This is step 2 of 5.",
    ]


@pytest.mark.parametrize(("ends_after", "told", "taken"), [(1, 8, 1), (2, 8, 2), (9, 9, 2)])
def test_a_prompt_does_not_tell_how_soon_we_look_away(
    stagehand: Stagehand,
    store: Store,
    guess_task: PreparedTask,
    ends_after: int,
    told: int,
    taken: int,
) -> None:
    agent = scripted(RUN, DONE)
    attempt = Attempt(prepared=guess_task, agent=agent, seed=0, ends_after=ends_after)
    (played,) = rollouts([attempt], stagehand, store, Stage.COLLECT)
    last = played.prompt_of(taken - 1)[-1].text.splitlines()[-1]
    assert (last, len(played.steps)) == (f"This is step {taken} of {told}.", taken)


def test_an_experiment_that_ends_after_ctrl_c_is_recorded_as_it_was(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask, tmp_path: Path
) -> None:
    examined = threading.Event()

    class LateBox(ColdBox):
        def read(self, path: str) -> bytes | None:
            if path == "submission.csv":
                examined.set()
                time.sleep(0.5)
            return super().read(path)

    def stop(ended: Trajectory) -> None:
        assert examined.wait(60)
        raise KeyboardInterrupt

    snapshots = Snapshots(tmp_path / "snapshots")
    late = replace(stagehand, box=lambda prepared: LateBox(snapshots, data=prepared.public))
    attempts = [
        Attempt(prepared=guess_task, agent=scripted(reply), seed=seed, steps=1)
        for seed, reply in enumerate(["hello", RUN])
    ]
    with pytest.raises(KeyboardInterrupt):
        rollouts(attempts, late, store, Stage.COLLECT, on_step=stop)
    _, ran = store.select()
    assert (ran.end, ran.steps[0].score) == (End.OUT_OF_BUDGET, 4.0)


def test_too_many_broken_attempts_raise_the_alarm(played: Trajectory) -> None:
    broken = played.model_copy(update={"end": End.BROKEN, "failure": "SandboxError: x"})
    alarm_if_broken([played] * 9 + [broken])
    with pytest.raises(MLAgentError, match="2 of 4 attempts broke"):
        alarm_if_broken([played] * 2 + [broken] * 2)


def again(stagehand: Stagehand, task: PreparedTask, past: Trajectory, t: int, text: str) -> Step:
    parsed = parse_reply(text, stagehand.offered)
    reply = Reply(
        completion=Completion(text=text, policy="new"), action=parsed.action, invalid=parsed.invalid
    )
    return retry(State(past, t), reply, task, stagehand)


def test_any_recorded_step_can_be_taken_again_in_another_box(
    stagehand: Stagehand, guess_task: PreparedTask, played: Trajectory
) -> None:
    assert again(stagehand, guess_task, played, 2, RUN).score == 2.0
    assert again(stagehand, guess_task, played, 0, RUN).score == 4.0
    after_crash = again(stagehand, guess_task, played, 4, edit(1, 1, "GUESS = 9.0"))
    assert after_crash.score == 1.0
    done = State(played, 4).followed_by(after_crash)
    assert Linear()(guess_task.task, done, 4) == pytest.approx((1.0 - 2.0) / (0.0 - 4.0))
    assert after_crash.prompt == played.steps[4].prompt


def test_a_state_whose_workspace_is_lost_is_our_failure(
    stagehand: Stagehand, guess_task: PreparedTask, played: Trajectory
) -> None:
    lost = played.model_copy(update={"workspace": "0" * 64})
    with pytest.raises(SandboxError):
        again(stagehand, guess_task, lost, 0, RUN)


def test_an_agent_that_would_decide_too_late_is_not_asked(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask
) -> None:
    model = ScriptedModel([BETTER])
    agent = LLMAgent(model, offered=PAPER_ACTIONS, sampling=Sampling())
    soon = TimeLimit(deadline=time.monotonic() + 60)
    attempt = Attempt(prepared=guess_task, agent=agent, seed=0, time=soon, decides_in_s=90)
    (played,) = rollouts([attempt], stagehand, store, Stage.SOLVE)
    assert (played.end, played.steps, model.prompts) == (End.OUT_OF_BUDGET, (), [])


class Overdue:
    """Has no answer when the time is over."""

    policy = "overdue"

    def act(
        self, histories: Sequence[Sequence[Message]], *, seeds: Sequence[int]
    ) -> list[Reply | ModelError]:
        time.sleep(0.6)
        return [ModelError("stopped before a request was sent") for _ in histories]


@pytest.mark.parametrize(("left_s", "end"), [(1.0, End.OUT_OF_BUDGET), (None, End.BROKEN)])
def test_an_answer_that_does_not_come_in_time_is_nobodys_fault(
    stagehand: Stagehand,
    store: Store,
    guess_task: PreparedTask,
    left_s: float | None,
    end: End,
) -> None:
    limit = None if left_s is None else TimeLimit(deadline=time.monotonic() + left_s)
    attempt = Attempt(prepared=guess_task, agent=Overdue(), seed=0, time=limit)
    (played,) = rollouts([attempt], stagehand, store, Stage.SOLVE)
    assert played.end is end


@pytest.mark.parametrize("style", ["compact", "paper"])
def test_an_agent_sees_what_came_of_the_steps_that_were_given(
    stagehand: Stagehand, store: Store, guess_task: PreparedTask, style: PromptStyle
) -> None:
    model = ScriptedModel([DONE])
    agent = LLMAgent(model, offered=PAPER_ACTIONS, sampling=Sampling())
    attempt = Attempt(
        prepared=guess_task,
        agent=agent,
        seed=0,
        begins=(ExecuteScript(script_name="train.py"),),
        notes="What to do: guess better.",
        move="debug",
        parents=("a", "b"),
    )
    hand = replace(stagehand, style=style)
    (played,) = rollouts([attempt], hand, store, Stage.SOLVE)
    assert [step.completion.policy for step in played.steps] == ["given", "scripted"]
    text = played.steps[0].completion.text
    assert parse_reply(text, PAPER_ACTIONS).action == ExecuteScript(script_name="train.py")
    (seen,) = model.prompts
    told = "\n".join(message.text for message in seen)
    assert "alidation mae" in told
    assert "4.0000" in told
    assert told.count("What to do: guess better.") == 1
    assert store.get(played.id) == played
    assert (played.move, played.parents) == ("debug", ("a", "b"))

"""A judge is asked of steps that look fine, once each, and what it says is kept beside them."""

from collections.abc import Sequence

import pytest

from made_records import CRASHED, EDIT, RUN, made_step, made_task, made_trajectory
from ml_agent.core.errors import ModelError
from ml_agent.core.records import Completion, End, Message, Step, Trajectory
from ml_agent.store import Judgement
from ml_agent.train import judging
from ml_agent.train.judging import Doubtful, doubtful, judge, read_verdict
from ml_agent.train.marks import Mark, mark_of

TASK = made_task(m_init=0.5)
BETTER = made_step(EDIT, score=0.75, text="deeper trees", observation="The file was edited.")
SEEN = [("system", "rules"), ("user", "script")]


def attempt(name: str, *steps: Step, task: str = "toy", end: End = End.SUBMITTED) -> Trajectory:
    return made_trajectory(steps, name=name, task=task, messages=SEEN, end=end)


def said(text: str) -> Completion:
    return Completion(text=text, policy="judge")


def asked_about(*attempts: Trajectory) -> list[Doubtful]:
    return doubtful(attempts, dict.fromkeys(("toy", "other"), TASK))


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("FINE", (True, "")),
        ("**ERROR:** You trained on validation rows.", (False, "You trained on validation rows")),
        ("Let me see.\nERROR - no gain again", (False, "no gain again")),
        ("> FINE: a sound try\nERROR: not this line", (True, "a sound try")),
        ("ERROR:", None),
        ("It is FINELY made, I would say.", None),
        ("", None),
    ],
)
def test_a_verdict_is_the_first_line_that_says_one(
    text: str, verdict: tuple[bool, str] | None
) -> None:
    assert read_verdict(said(text)) == verdict


def test_no_answer_is_no_verdict() -> None:
    assert read_verdict(ModelError("the endpoint was silent")) is None


def test_only_steps_that_look_fine_are_asked_about_and_equal_ones_once() -> None:
    crash = made_step(EDIT, CRASHED, text="crash")
    worse = made_step(EDIT, score=0.25, text="worse")
    found = asked_about(
        attempt("a", BETTER, crash, worse),
        attempt("b", BETTER),
        attempt("broken", made_step(RUN, score=0.5, text="run"), end=End.BROKEN),
    )
    assert [one.places for one in found] == [(("a", 0), ("b", 0))]


def test_the_judge_sees_what_the_agent_saw_did_and_caused() -> None:
    ((question,),) = [one.question for one in asked_about(attempt("a", BETTER))]
    for part in (
        "rules",
        "deeper trees",
        "before: 0.5000",
        "after: 0.7500",
        "The file was edited.",
    ):
        assert part in question.text
    # The step's prompt is its first message alone.
    assert "script\n</seen>" not in question.text


def test_tasks_take_turns() -> None:
    other = made_step(EDIT, score=0.625, text="another")
    found = asked_about(
        attempt("a", BETTER), attempt("b", other), attempt("c", other, task="other")
    )
    assert [one.places[0][0] for one in found] == ["c", "a", "b"]


def test_a_verdict_is_recorded_for_every_place_of_a_step_and_the_rest_is_counted(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    steps = [made_step(EDIT, score=0.75, text=text) for text in ("one", "two", "three", "four")]
    found = asked_about(attempt("a", *steps), attempt("b", steps[0]))
    verdicts = {"one": said("ERROR: same again"), "two": said("FINE"), "three": said("well")}
    monkeypatch.setattr(judging, "AT_ONCE", 3)
    asked: list[int] = []

    def ask(prompts: Sequence[Sequence[Message]]) -> list[Completion | ModelError]:
        asked.append(len(prompts))
        texts = [prompt[0].text for prompt in prompts]
        return [
            next((v for key, v in verdicts.items() if f"<step>\n{key}\n" in text), ModelError("no"))
            for text in texts
        ]

    parts = list(judge(found, ask, name="wise"))
    assert asked == [3, 1]
    assert [(one.fine, one.errors, one.unclear) for one in parts] == [(1, 1, 1), (0, 0, 1)]
    error = {"ok": False, "reason": "same again", "judge": "wise"}
    assert list(parts[0].judgements) == [
        Judgement(trajectory="a", t=0, **error),
        Judgement(trajectory="b", t=0, **error),
        Judgement(trajectory="a", t=1, ok=True, reason="", judge="wise"),
    ]


def test_what_the_environment_calls_an_error_stays_one_and_a_judge_may_add_to_it() -> None:
    judged = attempt(
        "a",
        BETTER.model_copy(update={"step_ok": False}),
        made_step(EDIT, CRASHED, step_ok=False),
    )
    assert [mark_of(TASK, judged, t) for t in range(2)] == [Mark.JUDGED, Mark.CRASH]
    # It is still a step to be asked about, so that a limit on how many counts it.
    assert [one.ok for one in asked_about(judged)] == [False]

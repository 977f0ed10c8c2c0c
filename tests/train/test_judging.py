"""A judge is asked of steps that look fine, once each, and what it says is kept beside them."""

from collections.abc import Sequence

import pytest

from made_records import CRASHED, EDIT, RUN, made_step, made_task, made_trajectory
from ml_agent.core.errors import ModelError
from ml_agent.core.records import Completion, End, Message, Step, Trajectory
from ml_agent.store import Judgement
from ml_agent.train import judging
from ml_agent.train.examples import examples_from
from ml_agent.train.failures import ERROR
from ml_agent.train.judging import AT_ONCE, Doubtful, corrections, doubtful, judge, read_verdict
from ml_agent.train.marks import Mark, mark_of
from ml_agent.train.reflection import is_mended

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
        ("Fine.", (True, "")),
        ("**ERROR:** You trained on validation rows.", (False, "You trained on validation rows")),
        ("Error: the same again", (False, "the same again")),
        ("Let me see.\nERROR - no gain again", (False, "no gain again")),
        ("ERROR handling is sound.\nFINE: a sound try", (True, "a sound try")),
        ("ERROR or FINE? It is a leak.\n> ERROR: it leaks", (False, "it leaks")),
        ("FINE-tuning the depth brings little.", None),
        ("ERROR:", None),
        ("It is FINELY made, I would say.", None),
        ("", None),
    ],
)
def test_a_verdict_is_the_last_line_that_begins_with_one(
    text: str, verdict: tuple[bool, str] | None
) -> None:
    assert read_verdict(said(text)) == verdict


def test_a_reply_that_does_not_end_is_no_verdict() -> None:
    cut = said("ERROR: it trains on the te").model_copy(update={"finished": False})
    assert read_verdict(cut) is None


def test_a_few_questions_left_over_may_stay_unanswered() -> None:
    steps = [one for i in range(AT_ONCE + 1) for one in asked_about(attempt(f"a{i}", BETTER))]

    def ask(prompts: Sequence[Sequence[Message]]) -> list[Completion | ModelError]:
        lone = len(prompts) == 1
        return [ModelError("silent") if lone else said("FINE") for _ in prompts]

    found = list(judge(steps, ask, name="wise"))
    assert [(one.fine, one.unclear) for one in found] == [(AT_ONCE, 0), (0, 1)]


def test_an_endpoint_that_answers_nothing_ends_the_judging_with_its_own_words() -> None:
    silent = ModelError("the endpoint was silent")
    with pytest.raises(ModelError, match="was silent"):
        list(judge(asked_about(attempt("a", BETTER)), lambda prompts: [silent], name="wise"))


def test_only_edits_that_look_fine_are_asked_about_and_equal_ones_once() -> None:
    crash = made_step(EDIT, CRASHED, text="crash")
    worse = made_step(EDIT, score=0.25, text="worse")
    look = made_step(RUN, score=0.25, text="run")
    found = asked_about(
        attempt("a", BETTER, crash, worse, look),
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
    steps = [
        made_step(EDIT, score=0.75, text=text) for text in ("one", "two", "three", "four", "five")
    ]
    found = asked_about(attempt("a", *steps), attempt("b", steps[0]))
    texts = {"one": "ERROR: same again", "two": "FINE", "three": "well", "four": "FINE"}
    verdicts = {key: said(text) for key, text in texts.items()}
    monkeypatch.setattr(judging, "AT_ONCE", 3)
    asked: list[int] = []

    def ask(prompts: Sequence[Sequence[Message]]) -> list[Completion | ModelError]:
        asked.append(len(prompts))
        return [
            next(
                (v for key, v in verdicts.items() if f"<step>\n{key}\n" in prompt[0].text),
                ModelError("no"),
            )
            for prompt in prompts
        ]

    parts = list(judge(found, ask, name="wise"))
    assert asked == [3, 2]
    assert [(one.fine, one.errors, one.unclear) for one in parts] == [(1, 1, 1), (1, 0, 1)]
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


def test_an_edit_that_was_judged_in_one_of_its_places_is_not_asked_about_again() -> None:
    judged = attempt("a", BETTER.model_copy(update={"step_ok": True}))
    for order in ((judged, attempt("b", BETTER)), (attempt("b", BETTER), judged)):
        (found,) = asked_about(*order)
        assert (found.ok, len(found.places)) == (True, 2)


def test_an_edit_that_a_judge_called_an_error_is_imitated_nowhere() -> None:
    wrong = BETTER.model_copy(update={"step_ok": False})
    other = made_step(EDIT, score=0.75, text="another")
    examples = examples_from(
        [attempt("a", wrong), attempt("b", BETTER, other), attempt("c", BETTER, task="other")], {}
    )
    assert sorted((one.task, one.reply) for one in examples) == [
        ("other", "deeper trees"),
        ("toy", "another"),
    ]


def reflected(score: float, *, error: float = 0.75, ok: bool | None = True) -> Trajectory:
    """0.5 was known; a judge alone found the error in what scored `error`."""
    wrong = made_step(EDIT, score=error, text="leak", role=ERROR, step_ok=False, verdict="it leaks")
    return attempt("r", wrong, made_step(EDIT, score=score, text="mend", step_ok=ok))


@pytest.mark.parametrize(
    ("one", "mended"),
    [
        (reflected(0.625), True),
        (reflected(0.5), True),
        (reflected(0.4375), False),
        (reflected(0.875, ok=False), False),
        (reflected(0.875, ok=None), False),
    ],
)
def test_the_correction_of_a_judged_error_need_not_score_better_but_must_be_judged_fine(
    one: Trajectory, mended: bool
) -> None:
    assert is_mended(TASK, one) == mended


def test_only_corrections_of_judged_errors_are_judged() -> None:
    crash = attempt(
        "crash",
        made_step(EDIT, CRASHED, text="bug", role=ERROR, step_ok=False),
        made_step(EDIT, score=0.75, text="mend"),
    )
    seen = reflected(0.625, ok=None)
    never = seen.model_copy(update={"id": "never", "steps": seen.steps[:1]})
    found = corrections([crash, seen, never], {"toy": TASK})
    assert [(one.places, one.ok) for one in found] == [((("r", 1),), None)]
    assert "<step>\nmend\n" in found[0].question[0].text

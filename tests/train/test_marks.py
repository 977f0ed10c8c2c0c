"""Errors are marked by what the environment saw, and stay as context without being imitated."""

from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
import torch

from made_records import CRASHED, EDIT, RAN, RUN, TIMED_OUT, made_step, made_task, made_trajectory
from ml_agent.core.actions import Action, ListFiles
from ml_agent.core.records import Completion, Execution, Step, Trajectory
from ml_agent.models.chat import Chat
from ml_agent.models.local import load_network
from ml_agent.train.examples import examples_from
from ml_agent.train.marks import IGNORED, Mark, labelled, mark_of, marked
from ml_agent.train.policy import Policy
from ml_agent.train.sft import SFTConfig, sft

LOOK = ListFiles(dir_path=".")
TASK = made_task(m_init=10.0, m_best=5.0, higher=False)


def step(
    text: str = "x",
    *,
    prompt: tuple[int, ...] = (0,),
    action: Action | None = EDIT,
    execution: Execution | None = RAN,
    score: float | None = None,
    ok: bool | None = None,
) -> Step:
    return made_step(action, execution, score, text=text, prompt=prompt, step_ok=ok)


def trajectory(steps: Sequence[Step], messages: Sequence[tuple[str, str]] = ()) -> Trajectory:
    return made_trajectory(steps, messages=messages)


PLAYED: list[tuple[Step, Mark | None]] = [
    (step(action=LOOK, execution=None), None),
    (step(action=None, execution=None), Mark.INVALID),
    (step(score=9.0), None),
    (step(execution=CRASHED), Mark.CRASH),
    (step(execution=TIMED_OUT), Mark.LIMIT),
    (step(execution=RAN), Mark.MALFORMED),
    # Worse than the 9.0 that was known last, though better than the starter's 10.0.
    (step(score=9.5), Mark.WORSE),
    (step(score=9.5), None),
    # A run changes nothing, whatever it scores.
    (step(action=RUN, score=9.9), None),
    (step(action=RUN, execution=CRASHED), Mark.CRASH),
]


def test_every_kind_of_error_has_its_mark() -> None:
    played = trajectory([one for one, _ in PLAYED])
    found = [mark_of(TASK, played, t) for t in range(len(PLAYED))]
    assert found == [mark for _, mark in PLAYED]
    assert [one.step_ok for one in marked(TASK, played).steps] == [mark is None for mark in found]


def test_where_higher_is_better_a_lower_score_is_the_error() -> None:
    task = made_task()
    played = trajectory([step(score=0.4), step(score=0.6)])
    assert [mark_of(task, played, t) for t in range(2)] == [Mark.WORSE, None]


def test_what_a_judge_said_stands_and_our_own_failure_is_not_judged() -> None:
    steps = [step(execution=CRASHED, ok=True), step(score=9.0, ok=False), step(execution=None)]
    judged = marked(TASK, trajectory(steps))
    assert [one.step_ok for one in judged.steps] == [True, False, None]
    assert judged.model_copy(update={"steps": ()}) == trajectory([])


def test_the_filter_for_improving_steps_keeps_what_has_no_mark() -> None:
    steps = [
        one.model_copy(update={"completion": Completion(text=str(t), policy="p")})
        for t, (one, _) in enumerate(PLAYED)
    ]
    played = trajectory(steps, [("user", "Improve.")])
    kept = examples_from([played], {TASK.id: TASK}, keep="improving-steps")
    unmarked = examples_from([marked(TASK, played)], {TASK.id: TASK})
    assert {one.reply for one in kept} == {one.reply for one in unmarked}
    assert {one.reply for one in unmarked} == {"0", "2", "7", "8"}


MESSAGES = [
    ("user", "Go."),
    ("assistant", "bad"),
    ("user", "Traceback"),
    ("assistant", "good"),
    ("user", "Fine."),
]
BEGIN = "<|im_start|>user\nGo.<|im_end|>\n<|im_start|>assistant\n"
BETWEEN = "\n<|im_start|>user\nTraceback<|im_end|>\n<|im_start|>assistant\n"
LAST = "\n<|im_start|>user\nFine.<|im_end|>\n<|im_start|>assistant\n"
END = "<|im_end|>"


def conversation(*ok: bool | None) -> Trajectory:
    """Three steps, the prompt of each going on from the one before."""
    texts, prompts = ("bad", "good", "over"), ((0,), (0, 1, 2), (0, 1, 2, 3, 4))
    steps = [
        step(text, prompt=prompt, score=9.0, ok=one)
        for text, prompt, one in zip(texts, prompts, ok, strict=True)
    ]
    return trajectory(steps, MESSAGES)


@pytest.fixture(scope="module")
def chat(tiny_model: Path) -> Chat:
    return load_network(str(tiny_model))[1]


def tokens(chat: Chat, pieces: Sequence[tuple[str, bool]]) -> tuple[list[int], list[int]]:
    """Ids and labels of a text given in pieces; a token a byte, but for the template's marks."""
    ids: list[int] = []
    labels: list[int] = []
    for text, imitated in pieces:
        found = list(chat.tokenizer(text, add_special_tokens=False).input_ids)
        ids += found
        labels += found if imitated else [IGNORED] * len(found)
    return ids, labels


@pytest.mark.parametrize(
    "ok",
    [
        (None, None, None),
        (False, True, True),
        (True, False, True),
        (True, True, False),
        (False, False, True),
    ],
)
def test_exactly_the_tokens_of_errors_carry_no_loss(
    chat: Chat, ok: tuple[bool | None, ...]
) -> None:
    first, second, third = (one is not False for one in ok)
    pieces = [(BEGIN, False), (f"bad{END}", first), (BETWEEN, False), (f"good{END}", second)]
    ids, labels = tokens(chat, [*pieces, (LAST, False), (f"over{END}", third)])
    (one,) = labelled(chat, conversation(*ok))
    assert list(one.ids) == ids
    assert list(one.labels) == labels


def test_a_trajectory_of_errors_alone_teaches_nothing(chat: Chat) -> None:
    assert labelled(chat, conversation(False, False, False)) == []


def test_prompts_that_tell_everything_anew_are_conversations_of_their_own(chat: Chat) -> None:
    steps = [
        step("a", prompt=(0,), ok=True),
        step("b", prompt=(2,), ok=False),
        step("c", prompt=(4,), ok=True),
    ]
    found = labelled(chat, trajectory(steps, MESSAGES))
    expected = []
    for told, said in (("Go.", "a"), ("Fine.", "c")):
        asked = f"<|im_start|>user\n{told}<|im_end|>\n<|im_start|>assistant\n"
        expected.append(tokens(chat, [(asked, False), (said + END, True)]))
    assert [(list(one.ids), list(one.labels)) for one in found] == expected


def test_an_error_that_spells_a_control_token_is_masked_to_its_last_letter(chat: Chat) -> None:
    forged = "x<|im_end|>y"
    messages = [("user", "Go."), ("assistant", forged), ("user", "No.")]
    steps = [step(forged, prompt=(0,), ok=False), step("z", prompt=(0, 1, 2), ok=True)]
    (one,) = labelled(chat, trajectory(steps, messages))
    imitated = [token for token in one.labels if token != IGNORED]
    assert imitated == [*chat.tokenizer("z").input_ids, chat.end_of_turn]
    assert one.labels[-2:] == tuple(imitated)
    # The turns' own marks, and not the one that the error spells.
    assert one.ids.count(chat.end_of_turn) == 4


def test_our_trainers_loss_is_that_of_the_labels(tiny_model: Path) -> None:
    from transformers import AutoModelForCausalLM

    played = conversation(True, False, True)
    policy = Policy.load(str(tiny_model))
    (one,) = labelled(policy.chat, played)
    network = AutoModelForCausalLM.from_pretrained(tiny_model)
    with torch.no_grad():
        # transformers' own loss: the mean over tokens whose label is not -100.
        whole = network(torch.tensor([one.ids]), labels=torch.tensor([one.labels])).loss
    seen: list[Mapping[str, float]] = []
    examples = examples_from([played], {TASK.id: TASK})
    pairs = [(example.prompt, example.reply) for example in examples]
    sft(policy, pairs, SFTConfig(epochs=1), on_update=seen.append)
    assert seen[0]["loss"] == pytest.approx(float(whole), rel=1e-4)
    # b, a, d and o, v, e, r, and an end of the turn each.
    assert seen[0]["action_tokens"] == 4 + 5

"""Which recorded states are practised on, and which recorded steps are imitated."""

from collections import Counter

import pytest

from made_records import EDIT, RUN, made_step, made_task, made_trajectory
from ml_agent.core.errors import TrainingError
from ml_agent.core.records import End, Message, Step, Trajectory
from ml_agent.train.examples import examples_from
from ml_agent.train.pool import Pool


def step(text: str, score: float | None = None, *, edit: bool = True) -> Step:
    return made_step(
        EDIT if edit else RUN, score=score, text=text, script="train.py", workspace="w"
    )


def trajectory(
    task: str, steps: list[Step], end: End | None = End.SUBMITTED, *, seen: str = ""
) -> Trajectory:
    name = f"{task}-{len(steps)}"
    return made_trajectory(steps, task=task, name=name, messages=[("user", task + seen)], end=end)


TASKS = {name: made_task(name) for name in ("a", "b")}


def test_every_task_and_every_place_gets_its_turn() -> None:
    long = [trajectory("a", [step("x", 0.6)] * 9, seen=str(i)) for i in range(5)]
    short = [trajectory("b", [step("x", 0.6)] * 3)]
    pool = Pool([*long, *short], seed=0)
    assert len(pool) == 48
    drawn = pool.draw(36)
    assert Counter(state.trajectory.task for state in drawn) == {"a": 18, "b": 18}
    places = Counter((state.trajectory.task, state.t) for state in drawn)
    assert {places["a", t] for t in range(9)} == {2}
    assert {places["b", t] for t in range(3)} == {6}


def test_a_prompt_that_many_attempts_have_is_one_state() -> None:
    attempts = [trajectory("a", [step(str(i), 0.6)] * 2) for i in range(9)]
    pool = Pool([*attempts, trajectory("a", [step("x")], seen=", told otherwise")], seed=0)
    assert len(pool) == 3
    firsts = [state for state in pool.draw(8) if state.t == 0]
    assert Counter(state.prompt[0].text for state in firsts) == {"a": 2, "a, told otherwise": 2}


def test_some_tasks_can_be_given_half_of_the_turns() -> None:
    attempts = [trajectory(name, [step("x", 0.6)]) for name in ("a", "b", "c", "mine")]
    drawn = Pool(attempts, seed=0, half={"mine", "not there"}).draw(24)
    counted = Counter(state.trajectory.task for state in drawn)
    assert counted == {"mine": 12, "a": 4, "b": 4, "c": 4}
    alone = Pool(attempts[3:], seed=0, half={"mine"}).draw(2)
    assert [state.trajectory.task for state in alone] == ["mine", "mine"]


def test_what_helps_is_measured_from_the_script_an_attempt_began_with() -> None:
    # The task's starter has 0.5, the script that this attempt went on from 0.8.
    began = trajectory("a", [step("worse", 0.7), step("better", 0.9)])
    began = began.model_copy(update={"m_init": 0.8})
    kept = examples_from([began], TASKS, keep="improving-edits")
    assert [one.reply for one in kept] == ["better"]
    kept = examples_from([began.model_copy(update={"m_init": None})], TASKS, keep="improving-edits")
    assert {one.reply for one in kept} == {"worse", "better"}


def test_no_state_comes_twice_before_its_stratum_is_used_up() -> None:
    attempts = [trajectory("a", [step(str(i), 0.6)], seen=str(i)) for i in range(4)]
    drawn = Pool(attempts, seed=1).draw(8)
    texts = [state.trajectory.steps[0].completion.text for state in drawn]
    assert sorted(texts[:4]) == sorted(texts[4:]) == ["0", "1", "2", "3"]


def test_only_states_of_the_first_steps_are_drawn_if_asked_for() -> None:
    attempts = [trajectory("a", [step("x")] * 5), trajectory("b", [step("y")])]
    pool = Pool(attempts, seed=0, first_steps=2)
    assert len(pool) == 3
    assert {state.t for state in pool.draw(12)} == {0, 1}


def test_the_same_seed_draws_the_same_states() -> None:
    attempts = [trajectory("a", [step(str(i), 0.6)] * 3, seen=str(i)) for i in range(6)]

    def order(seed: int) -> list[str]:
        drawn = Pool(attempts, seed=seed).draw(12)
        return [f"{state.trajectory.steps[0].completion.text}{state.t}" for state in drawn]

    assert order(3) == order(3)
    assert order(3) != order(4)


@pytest.mark.parametrize(("learnability", "turns"), [(True, {"a": 22, "b": 11}), (False, None)])
def test_places_whose_actions_earn_the_same_get_fewer_turns_if_asked_for(
    learnability: bool, turns: dict[str, int] | None
) -> None:
    attempts = [trajectory(name, [step("x")]) for name in ("a", "b")]
    pool = Pool(attempts, seed=0, learnability=learnability)
    first = sorted(pool.draw(2), key=lambda state: state.trajectory.task)
    # Standard deviations 0.5 and 0; with the 0.5 taken for granted, worth 1 and 0.5.
    pool.learn(first, [[0.0, 1.0, None], [0.2, 0.2, 0.2]])
    drawn = Counter(state.trajectory.task for state in [*first, *pool.draw(31)])
    if turns is None:
        assert abs(drawn["a"] - drawn["b"]) == 1
    else:
        assert drawn == turns


def test_no_place_is_given_up() -> None:
    pool = Pool([trajectory(name, [step("x")]) for name in ("a", "b")], seed=0, learnability=True)
    for _ in range(40):
        (state,) = pool.draw(1)
        pool.learn([state], [[1.0, 0.0] if state.trajectory.task == "a" else [0.0, 0.0]])
    # Worth 1 and, at the end, 0.1: the next eleven turns are ten and one.
    assert Counter(state.trajectory.task for state in pool.draw(11))["b"] == 1


def test_states_that_are_added_come_next_and_broken_ones_never() -> None:
    pool = Pool([trajectory("a", [step(str(i))], seen=str(i)) for i in range(4)], seed=0)
    pool.draw(1)
    bad = trajectory("a", [step("bad")], End.BROKEN, seen="bad")
    pool.add([trajectory("a", [step("new")], seen="new"), bad])
    drawn = [state.trajectory.steps[0].completion.text for state in pool.draw(4)]
    assert drawn[0] == "new"
    assert "bad" not in drawn
    assert len(pool) == 5


def test_states_that_are_added_come_first_in_places_that_were_never_drawn() -> None:
    old = [trajectory("a", [step(str(i)), step(str(i))], seen=str(i)) for i in range(9)]
    pool = Pool(old, seed=0, first_steps=1)
    pool.add([trajectory("a", [step("new"), step("new")], seen="new")])
    found = {(one.t, one.trajectory.steps[0].completion.text) for one in pool.draw(2)}
    assert found == {(0, "new"), (1, "new")}


def test_steps_that_are_reached_late_take_turns_with_those_that_were_drawn_before() -> None:
    pool = Pool([trajectory("a", [step("x")])], seed=0, first_steps=1)
    pool.draw(20)
    pool.add([trajectory("a", [step("y")] * 3, seen="y")])
    assert Counter(state.t for state in pool.draw(9)) == {0: 3, 1: 3, 2: 3}


def test_broken_and_cut_off_attempts_are_no_states() -> None:
    bad = [trajectory("a", [step("x")], End.BROKEN), trajectory("a", [step("x")], None)]
    with pytest.raises(TrainingError, match="pool of states is empty"):
        Pool(bad, seed=0)


STEPS = [
    step("better", 0.7),
    step("same", 0.7),
    step("worse", 0.6),
    step("crash"),
    step("run", 0.6, edit=False),
]


@pytest.mark.parametrize(
    ("keep", "texts"),
    [
        ("none", {"better", "same", "worse", "crash", "run"}),
        ("successful-steps", {"better", "same", "worse", "run"}),
        ("improving-steps", {"better", "same", "run"}),
        ("improving-edits", {"better"}),
    ],
)
def test_a_filter_keeps_the_steps_it_says(keep: str, texts: set[str]) -> None:
    found = examples_from([trajectory("a", STEPS)], TASKS, keep=keep)  # type: ignore[arg-type]
    assert {example.reply for example in found} == texts


def test_equal_steps_are_imitated_once_and_broken_attempts_never() -> None:
    attempts = [trajectory("a", STEPS), trajectory("a", STEPS)]
    broken = trajectory("b", [step("ours")], End.BROKEN)
    assert len(examples_from([*attempts, broken], TASKS)) == 5


def test_a_limit_of_states_is_shared_evenly_and_takes_the_most_answered_first() -> None:
    def attempt(name: str, place: int, reply: str) -> Trajectory:
        seen = Message(role="user", text=f"{name}{place}")
        return trajectory(name, [step(reply, 0.6)]).model_copy(update={"messages": (seen,)})

    often = [attempt("a", 0, reply) for reply in "xyz"]
    once = [attempt("a", place, "x") for place in range(1, 9)]
    other = [attempt("b", place, "x") for place in range(2)]
    found = examples_from([*often, *once, *other], TASKS, states_at_most=5)
    states = Counter((example.task, example.prompt[0].text) for example in found)
    assert Counter(task for task, _ in states) == {"a": 3, "b": 2}
    assert states["a", "a0"] == 3
    fewer = examples_from([*often, *once, *other], TASKS, states_at_most=5, answers_at_most=2)
    kept = Counter((example.task, example.prompt[0].text) for example in fewer)
    assert kept == {state: min(count, 2) for state, count in states.items()}
    assert set(fewer) <= set(found)


def test_a_limit_of_answers_keeps_the_edits_that_helped_most() -> None:
    scores = {"worse": 0.4, "best": 0.9, "good": 0.8, "fair": 0.7}
    attempts = [trajectory("a", [step(reply, score)]) for reply, score in scores.items()]
    found = examples_from(attempts, TASKS, answers_at_most=2)
    assert {example.reply for example in found} == {"best", "good"}


def test_an_answer_longer_than_asked_for_is_not_imitated() -> None:
    steps = [step("four", 0.6), step("eleven char", 0.7)]
    found = examples_from([trajectory("a", steps)], TASKS, longest=4)
    assert [example.reply for example in found] == ["four"]
    assert len(examples_from([trajectory("a", steps)], TASKS, longest=11)) == 2


def test_nothing_to_imitate_is_said() -> None:
    with pytest.raises(TrainingError, match="no finished trajectory was collected"):
        examples_from([trajectory("a", [step("fine", 0.6)], end=End.BROKEN)], TASKS)
    with pytest.raises(TrainingError, match="no step is left"):
        examples_from([trajectory("a", [step("crash")])], TASKS, keep="improving-steps")

"""What is said when practice goes wrong, and that nothing is said when it does not."""

from ml_agent.train.watch import Figures, Watch

WELL: Figures = {
    "entropy": 0.4,
    "cut_off": 0.1,
    "action_tokens": 60.0,
    "zero_spread_groups": 0.5,
    "valid_action_rate": 0.9,
}


def _told(bad: Figures, *, good: int = 3, after: int = 5) -> list[list[str]]:
    watch = Watch(max_tokens=100)
    lines = [WELL] * good + [{**WELL, **bad}] * after
    return [watch.look(line) for line in lines]


def test_practice_that_goes_well_is_not_remarked_on() -> None:
    assert _told({}) == [[]] * 8


def test_a_policy_that_grows_certain_is_remarked_on_once() -> None:
    told = _told({"entropy": 0.09})
    assert [len(said) for said in told] == [0, 0, 0, 0, 0, 1, 0, 0]
    assert told[5][0].startswith("the policy's entropy has fallen from 0.400 to 0.090")
    assert _told({"entropy": 0.11}) == [[]] * 8


def test_each_way_of_going_wrong_has_its_own_words() -> None:
    (length,) = _told({"cut_off": 0.3})[5]
    assert length.startswith("30% of the actions are cut off at 100 tokens")
    (short,) = _told({"action_tokens": 25.0})[5]
    assert short.startswith("actions have shrunk from 60 to 25 tokens")
    assert _told({"action_tokens": 35.0}) == [[]] * 8
    (same,) = _told({"zero_spread_groups": 0.9})[5]
    assert same.startswith("in 90% of the states all actions earn the same")
    (invalid,) = _told({"valid_action_rate": 0.4})[5]
    assert invalid.startswith("valid actions have fallen from 90% to 40%")
    (late,) = _told({"late_actions": 1.5})[5]
    assert late.startswith("1.5 actions an update came too late")
    assert "Raise it, or workers." in late
    assert _told({"late_actions": 0.9}) == [[]] * 8


def test_what_went_well_in_between_is_remarked_on_again() -> None:
    watch = Watch(max_tokens=100)
    bad = {**WELL, "zero_spread_groups": 1.0}
    lines = [WELL] * 3 + [bad] * 3 + [WELL] * 3 + [bad] * 3
    # The mean of the last three is 1, 0.83, 0.67, 0.5, 0.67, 0.83, 1 from the sixth on.
    assert [len(watch.look(line)) for line in lines] == [0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1, 0]


def test_updates_that_trained_nothing_have_no_entropy_and_alarm_nobody() -> None:
    watch = Watch(max_tokens=100)
    assert [watch.look({**WELL, "entropy": None}) for _ in range(8)] == [[]] * 8

"""Limits of a minute, by a clock that goes as it is told."""

import pytest

from ml_agent.models.http.pace import Pace


class Clock:
    now_s = 0.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def drawn_after_waiting(pace: Pace, clock: Clock, tokens: int) -> float:
    clock.now_s += pace.wait_s(tokens)
    assert pace.wait_s(tokens) == 0.0
    return pace.draw(tokens).moment


def test_what_is_drawn_as_fast_as_it_goes_is_what_each_minute_allows(clock: Clock) -> None:
    pace = Pace(requests=3, tokens=None, clock=clock)
    moments = [drawn_after_waiting(pace, clock, 10**9) for _ in range(8)]
    assert moments == [0, 0, 0, 60, 60, 60, 120, 120]
    pace = Pace(requests=None, tokens=100, clock=clock)
    clock.now_s = 0.0
    assert [drawn_after_waiting(pace, clock, 40) for _ in range(5)] == [0, 0, 60, 60, 120]


def test_room_comes_as_each_request_grows_a_minute_old(clock: Clock) -> None:
    pace = Pace(requests=3, tokens=100, clock=clock)
    for clock.now_s, tokens in ((0.0, 10), (20.0, 60), (40.0, 10)):
        pace.draw(tokens)
    clock.now_s = 45.0
    # One that is small waits for the first to go, one that is large for the second too.
    assert (pace.wait_s(20), pace.wait_s(80)) == (15.0, 35.0)


def test_a_request_that_began_later_than_it_was_drawn_takes_its_minute_from_then(
    clock: Clock,
) -> None:
    pace = Pace(requests=2, tokens=None, clock=clock)
    pace.draw(1).moment = 20.0
    pace.draw(1)
    clock.now_s = 30.0
    assert pace.wait_s(1) == 30.0
    clock.now_s = 70.0
    pace.draw(1)
    assert pace.wait_s(1) == 10.0
    pace = Pace(requests=None, tokens=100, clock=clock)
    pace.draw(10).moment = 40.0
    pace.draw(10).moment = 35.0
    assert pace.wait_s(100) == 30.0


def test_an_answer_that_took_less_than_it_might_have_makes_room_at_once(clock: Clock) -> None:
    pace = Pace(requests=None, tokens=100, clock=clock)
    first = pace.draw(70)
    assert pace.wait_s(70) == 60.0
    first.tokens = 30
    assert pace.wait_s(70) == 0.0


def test_what_may_take_more_than_a_minute_allows_has_a_minute_of_its_own(clock: Clock) -> None:
    pace = Pace(requests=None, tokens=100, clock=clock)
    assert [drawn_after_waiting(pace, clock, 500) for _ in range(3)] == [0, 60, 120]

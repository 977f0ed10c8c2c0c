"""How much may be asked a minute.

Covered: in no minute are more requests begun than allowed, nor more tokens asked for: the most a
request can take until it is answered, then what it took. Not covered: how long each is on its way,
and what was asked by a session before, or by other programs with the same key; for a limit that is
met all the same there is the endpoint's 429.
"""

from collections.abc import Callable
from dataclasses import dataclass
from time import monotonic

_MINUTE_S = 60.0


@dataclass(kw_only=True)
class Drawn:
    """One request, and what it takes of its minute."""

    moment: float
    """When it begins; to be told anew if something holds it up."""
    tokens: int
    """The most it may take; what it took, once that is known."""


class Pace:
    """What was asked in the last minute, and whether there is room for more.

    A window: a bucket that fills evenly would let twice a minute's through in its first. One thread
    at a time may ask and draw; each may tell meanwhile when its request began and what it took.
    """

    def __init__(
        self,
        *,
        requests: int | None,
        tokens: int | None,
        clock: Callable[[], float] = monotonic,
    ) -> None:
        """Nothing is drawn yet.

        Args:
            requests: Allowed in a minute; None: any number.
            tokens: In and out together, allowed in a minute; None: any number.
            clock: Tells seconds.
        """
        self._requests, self._tokens, self._clock = requests, tokens, clock
        self._drawn: list[Drawn] = []

    def wait_s(self, tokens: int) -> float:
        """How long until there is room for a request; less if those before it take less.

        Args:
            tokens: The most it may take; if that is more than a minute's, it has one of its own.
        """
        now = self._clock()
        # In the order in which they began.
        self._drawn.sort(key=lambda one: one.moment)
        self._drawn = [one for one in self._drawn if one.moment + _MINUTE_S > now]
        requests, taken = len(self._drawn), sum(one.tokens for one in self._drawn)
        wait_s = 0.0
        for oldest in self._drawn:
            if self._has_room(requests, taken, tokens):
                break
            wait_s = oldest.moment + _MINUTE_S - now
            requests, taken = requests - 1, taken - oldest.tokens
        return wait_s

    def draw(self, tokens: int) -> Drawn:
        """Take room for a request that is sent as soon as it can be."""
        self._drawn.append(Drawn(moment=self._clock(), tokens=tokens))
        return self._drawn[-1]

    def send(self, drawn: Drawn) -> None:
        """Count a request from now on, when it is sent."""
        drawn.moment = self._clock()

    def _has_room(self, requests: int, taken: int, tokens: int) -> bool:
        return (self._requests is None or requests < self._requests) and (
            self._tokens is None or taken + min(tokens, self._tokens) <= self._tokens
        )

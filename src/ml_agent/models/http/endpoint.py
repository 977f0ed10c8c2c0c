"""Where an endpoint is, how patient we are with it, and its key.

Covered: a key comes only from an environment variable or a file that the user names; it is sent in
one header, to https or to this machine; it is masked in everything the endpoint says. Not covered:
what the endpoint itself does with it, and scripts that run without isolation.
"""

import ipaddress
import json
import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NoReturn
from urllib.parse import urlsplit

from ml_agent.core.errors import UsageError

MASK = "***"
MAY_BE_LEFT_OUT = ("temperature", "top_p", "seed")
"""Fields that reasoning models and strict servers refuse."""
_KEY_BYTES = 8192
_SHORTEST = 8


class Secret:
    """A key that shows itself to nobody who does not ask for it by name."""

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        """Wrap a key; the empty one is none."""
        self._value = value

    def __bool__(self) -> bool:
        return bool(self._value)

    def __repr__(self) -> str:
        return f"Secret({MASK if self._value else ''})"

    def __str__(self) -> str:
        return MASK if self._value else ""

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or copied: both would write it down.

        Raises:
            TypeError: Always.
        """
        raise TypeError("a secret is not written down")

    def reveal(self) -> str:
        """The key itself, for the one header it is sent in."""
        return self._value

    def masked(self, text: str) -> str:
        """The text without the key, wherever it stands in it, spelled as in JSON too.

        What is shorter than a key can be, as the "none" that some local servers want, stays.
        """
        if len(self._value) < _SHORTEST:
            return text
        in_json = json.dumps(self._value)[1:-1]
        # The longest first: one spelling may stand in another.
        for spelled in (in_json.replace("/", r"\/"), in_json, self._value):
            text = text.replace(spelled, MASK)
        return text


@dataclass(frozen=True, kw_only=True)
class Price:
    """What a million tokens cost, in whatever currency the user counts."""

    tokens_in: float = 0.0
    tokens_out: float = 0.0

    def of(self, tokens_in: int, tokens_out: int) -> float:
        """What a request costs.

        Examples:
            >>> Price(tokens_in=0.5, tokens_out=2.0).of(1_000_000, 500_000)
            1.5
        """
        return (self.tokens_in * tokens_in + self.tokens_out * tokens_out) / 1e6


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A server that answers `POST {url}/chat/completions`."""

    url: str
    """Up to and with the version, e.g. https://api.openai.com/v1."""
    key: Secret = field(default_factory=lambda: Secret(""))
    any_http: bool = False
    """Allow http to another machine: whoever is on the way can read the key and everything else."""
    length_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    """What the endpoint calls the longest answer; OpenAI's newer models want the second."""
    left_out: tuple[str, ...] = ()
    """Fields of a request that the endpoint does not take; some of `MAY_BE_LEFT_OUT`."""
    timeout_s: float = 180.0
    """For a request and its whole reply; 20 of it for a connection."""
    tries: int = 6
    """Requests for one answer, when earlier ones failed or got lost."""
    busy_s: float = 600.0
    """How long an answer is asked for anew while the endpoint says that we ask too much (429)."""
    backoff_s: float = 1.0
    """The first pause is at most this long, each next one twice as long as the one before."""
    longest_pause_s: float = 120.0
    """A server that asks for a longer one is not waited for."""
    at_once: int = 8
    """Requests on their way at the same time."""
    requests_per_minute: int | None = None
    """Of all models there together; None: any number."""
    tokens_per_minute: int | None = None
    """In and out, of all models there together; None: any number."""

    def __post_init__(self) -> None:
        """Refuse an address a key must not be sent to.

        Raises:
            UsageError: The address or a figure makes no sense, or is not safe.
        """
        check_url(self.url, any_http=self.any_http)
        if min(self.timeout_s, self.tries, self.at_once) <= 0 or self.backoff_s < 0:
            raise UsageError("an endpoint's timeout_s, tries and at_once must be above zero")
        for limit in (self.requests_per_minute, self.tokens_per_minute):
            if limit is not None and limit < 1:
                raise UsageError(
                    f"a limit of {limit} a minute allows nothing; give more, or none at all"
                )
        if unknown := set(self.left_out) - set(MAY_BE_LEFT_OUT):
            raise UsageError(
                f"{', '.join(sorted(unknown))} cannot be left out of a request; what can are "
                f"{', '.join(MAY_BE_LEFT_OUT)}"
            )

    @property
    def is_local(self) -> bool:
        """Whether it is on this machine."""
        return is_local(urlsplit(self.url).hostname or "")


def check_url(url: str, *, any_http: bool = False) -> None:
    """Refuse an address that is none, that holds a secret, or where anybody could listen.

    Raises:
        UsageError: It is one of these. The message never repeats a secret.
    """
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        # The error repeats what it could not read, which may be a key in the wrong place.
        raise UsageError(
            "the endpoint's address cannot be read: give it as https://HOST/v1"
        ) from None
    if parts.scheme not in {"http", "https"} or not host:
        raise UsageError(
            "the endpoint's address is not one: give it as https://HOST/v1, or "
            "http://localhost:PORT/v1 for a server on this machine"
        )
    if parts.username is not None or parts.query or parts.fragment:
        raise UsageError(
            f"the address of the endpoint at {host} holds more than scheme, host, port and path. "
            "A key belongs into --key-env or --key-file: the address stands in every record."
        )
    if parts.scheme == "http" and not is_local(host) and not any_http:
        raise UsageError(
            f"http://{host} is another machine: whoever is on the way reads the key and all that "
            "is said. Use https, or say --allow-http if the network between is yours."
        )


def read_key(*, env: str = "", file: str = "") -> Secret:
    """The key from an environment variable or a file; neither named: no key.

    Raises:
        UsageError: Both are named, or what is named holds no key. The message repeats neither: one
            may be the key itself, given by mistake.
    """
    if env and file:
        raise UsageError("--key-env and --key-file contradict each other: give one")
    if env:
        text, where = os.environ.get(env, ""), "the environment variable that --key-env names"
    elif file:
        where = "the file that --key-file names"
        try:
            with Path(file).open("rb") as opened:
                text = opened.read(_KEY_BYTES).decode("ascii", errors="replace")
        except OSError as error:
            raise UsageError(f"{where} cannot be read: {error.strerror}") from error
    else:
        return Secret("")
    key = text.strip()
    if not key:
        raise UsageError(f"{where} holds no key: set it, or name another one")
    if not re.fullmatch(r"[!-~]{1,4096}", key):
        raise UsageError(f"{where} holds no key: a key is one word of plain letters and signs")
    return Secret(key)


def is_local(host: str) -> bool:
    """Whether a host's name or address means this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False

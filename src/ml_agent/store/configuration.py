"""In what two configurations differ."""

from collections.abc import Iterator, Mapping
from typing import Any

_DECIDE_NOTHING = frozenset(
    {
        *("workers", "gradient_checkpointing"),
        *("sft.row_tokens", "rl.grpo.row_tokens", "rl.ppo.row_tokens"),
        *("expert.length_field", "expert.leave_out"),
    }
)
"""Parts of a configuration that may change within a run: what was done does not depend on them, or
could not be done without the change."""


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """The parts that decide what is done in which they differ, such as "rl.updates"."""
    return sorted(set(_differences("", old, new)) - _DECIDE_NOTHING)


def _differences(where: str, old: Any, new: Any) -> Iterator[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        for key in old.keys() | new.keys():
            place = f"{where}.{key}" if where else key
            yield from _differences(place, old.get(key), new.get(key))
    elif old != new:
        yield where

"""What to do about an error, without a language model: a known repair, or what helped elsewhere."""

from collections.abc import Iterator, Sequence

from ml_agent.agents.playbook.edits import smallest_edit
from ml_agent.agents.playbook.library import LONGEST_CODE, changed, play_of, sound
from ml_agent.agents.playbook.repairs import repair
from ml_agent.core.records import Domain


def corrected(
    *, error: str | None, before: str, now: str, helped: Sequence[str], domain: Domain
) -> str | None:
    """The script after a correction, one short edit away; None: the playbook knows none.

    A crash is repaired. Where it knows no repair, and where nothing crashed, what the error did is
    taken back and in its place stands the idea that helped most on the task; without any it is
    taken back alone. Where the error changed nothing, an idea is carried out.

    Args:
        error: Last line of a traceback; None: nothing crashed.
        before: The script before the error.
        now: The script after it; the same, where the error changed nothing.
        helped: Ids of ideas that helped on the task, best first.
        domain: The kind of task.
    """
    mended = repair(error, now) if error else None
    for new in (mended, *_other_edits(before, now, helped, domain)):
        if new is not None and _is_short(now, new):
            return new
    return None


def _other_edits(
    before: str, now: str, helped: Sequence[str], domain: Domain
) -> Iterator[str | None]:
    for idea in helped:
        yield changed(play_of(idea).change, before)
    if before.splitlines() != now.splitlines():
        yield before
    else:
        yield from (changed(play_of(one.id).change, now) for one in sound(domain, now))


def _is_short(now: str, new: str) -> bool:
    if now.splitlines() == new.splitlines():
        return False
    return len(smallest_edit(now, new, "script.py", "script.py").new_code) <= LONGEST_CODE

"""The smallest edit between two texts, as an agent would write it."""

from ml_agent.core.actions import EditScript
from ml_agent.core.errors import UsageError


def smallest_edit(old: str, new: str, script_name: str, save_name: str) -> EditScript:
    """One replaced range of lines, as short as possible, that turns `old` into `new`.

    Both are taken as lists of lines: how a line ends, and whether the last one does, is not kept.

    Raises:
        UsageError: The two have the same lines, so there is nothing to edit.
    """
    before, after = old.splitlines(), new.splitlines()
    if before == after:
        raise UsageError("the two scripts have the same lines; an edit must change something")
    shorter = min(len(before), len(after))
    head = 0
    while head < shorter and before[head] == after[head]:
        head += 1
    tail = 0
    while tail < shorter - head and before[-1 - tail] == after[-1 - tail]:
        tail += 1
    code = after[head : len(after) - tail]
    # "a" and "a\n" are the same line: an empty last line needs its line end to count.
    end = "\n" if code and not code[-1] else ""
    return EditScript(
        script_name=script_name,
        start_line_number=head + 1,
        end_line_number=len(before) - tail,
        new_code="\n".join(code) + end,
        save_name=save_name,
    )

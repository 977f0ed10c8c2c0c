"""The smallest edit between two texts, as an agent would write it, and what it says about it."""

from ml_agent.core.actions import EditScript
from ml_agent.core.errors import UsageError
from ml_agent.core.listing import number_lines


def smallest_edit(old: str, new: str, script_name: str, save_name: str) -> EditScript:
    """One replaced range of lines, as short as possible, that turns `old` into `new`.

    It replaces at least one line: what is only inserted is written together with the line after it,
    or before it at the end. So there is one kind of edit to learn.

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
    if head + tail == len(before) > 0:
        head, tail = (head, tail - 1) if tail else (head - 1, tail)
    code = after[head : len(after) - tail]
    return EditScript(
        script_name=script_name,
        start_line_number=head + 1,
        end_line_number=len(before) - tail,
        new_code="".join(f"{line}\n" for line in code),
        save_name=save_name,
    )


def quoted(edit: EditScript, source: str) -> str:
    """The first and the last line an edit replaces, as they stand in the script's listing.

    Said before the edit is written, they lead a small model to the lines' numbers.
    """
    first, last = edit.start_line_number, edit.end_line_number
    lines = number_lines(source).splitlines()[first - 1 : last]
    return "\n".join(dict.fromkeys([*lines[:1], *lines[-1:]]))

"""The coder: a frozen model that carries out the edits and reads the files that a policy asks for.

It sees one file of the workspace and what it is to do with it: no task, no score, no label. Where
it does not answer as it must, that is our failure and never the policy's (method, section 5).
"""

import re

from ml_agent.core.errors import ModelError
from ml_agent.core.records import Message
from ml_agent.env.edits import is_python
from ml_agent.models import Model, Sampling

_EDITOR = (
    "You carry out changes to Python scripts that train machine-learning models. You are given a "
    "script and one instruction. Do what the instruction says and leave everything else as it is: "
    "names, files that are read and written, comments. Answer with the whole new script, from its "
    "first line to its last, in one ```python block, and nothing else."
)
_READER = (
    "You read files of a machine-learning project for an engineer who cannot see them. You are "
    "given a file and what to look for. Answer in a few plain sentences with what the file says "
    "about it, naming line numbers where they help. Say so if it says nothing."
)
_ONCE_MORE = (
    "There is no whole ```python block in your answer. Answer with the whole new script in one "
    "```python block, begun and ended by a line of its own."
)
_BLOCK = re.compile(r"^```\w*[ \t]*\r?\n(.*?)^```[ \t]*\r?$", re.MULTILINE | re.DOTALL)
_WIDEST = re.compile(r"^```\w*[ \t]*\r?\n(.*)^```[ \t]*\r?$", re.MULTILINE | re.DOTALL)
_READ_CHARS = 40_000
"""How much of a file is read for an answer: head and tail."""


def script_in(reply: str) -> str | None:
    """The longest whole block of code in a reply, one that is Python if there is any; else None.

    A script may have such fences in itself: from the first to the last is one block, too.
    """
    widest = [match[1] for match in [_WIDEST.search(reply)] if match]
    blocks = [code for code in (*widest, *_BLOCK.findall(reply)) if code.strip()]
    readable = [code for code in blocks if is_python(code.splitlines())]
    return max(readable or blocks[len(widest) :], key=len, default=None)


class ModelCoder:
    """A coder by any model. Greedy, and with one seed: the same instruction is one edit."""

    def __init__(self, model: Model, *, max_tokens: int = 4096) -> None:
        """Let a model be the coder.

        Args:
            model: Who is asked.
            max_tokens: The longest script it can write, in tokens.
        """
        self._model = model
        self._sampling = Sampling(temperature=0.0, max_tokens=max_tokens)

    def edit(self, source: str, instruction: str) -> str:
        """The new source.

        Raises:
            ModelError: It could not be asked, or wrote no whole script, asked twice.
        """
        asked = f"Instruction: {instruction}\n\nThe script:\n```python\n{source}\n```"
        prompt = [Message(role="system", text=_EDITOR), Message(role="user", text=asked)]
        said, code = self._code(prompt)
        if code is None:
            prompt += [
                Message(role="assistant", text=said),
                Message(role="user", text=_ONCE_MORE),
            ]
            said, code = self._code(prompt)
        if code is None:
            raise ModelError(
                f"the coder {self._model.policy} wrote no whole script, asked twice; its last "
                f"reply begins {said[:60]!r}. Choose a better one, or let it write more tokens."
            )
        return "".join(line + "\n" for line in code.splitlines())

    def answer(self, content: str, question: str) -> str:
        """What the content says about the question.

        Raises:
            ModelError: It could not be asked, or said nothing.
        """
        half = _READ_CHARS // 2
        if len(content) > _READ_CHARS:
            cut = len(content) - 2 * half
            content = f"{content[:half]}\n[{cut} characters cut]\n{content[-half:]}"
        asked = f"Look for: {question}\n\nThe file:\n```\n{content}\n```"
        prompt = [Message(role="system", text=_READER), Message(role="user", text=asked)]
        said = self._say(prompt)[0].strip()
        if not said:
            raise ModelError(f"the coder {self._model.policy} said nothing about a file")
        return said

    def _code(self, prompt: list[Message]) -> tuple[str, str | None]:
        """What it said, and the script in that; none if it was cut off."""
        said, finished = self._say(prompt)
        code = script_in(said) if finished else None
        return said, code

    def _say(self, prompt: list[Message]) -> tuple[str, bool]:
        ((said,),) = self._model.sample([prompt], self._sampling, seed=0)
        return said.text, said.finished

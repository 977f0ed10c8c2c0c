"""The coder: what it is shown, what of its reply becomes the script, and whose failure it is."""

import pytest

from ml_agent.core.errors import ModelError
from ml_agent.core.records import Completion
from ml_agent.env.coder import ModelCoder, script_in
from ml_agent.models import Sampling, ScriptedModel

SCRIPT = "a = 1\nb = 2\n"


def test_the_code_block_of_the_reply_is_the_new_script() -> None:
    model = ScriptedModel(["Here it is:\n```python\na = 1\r\nb = 3\n```\nDone."])
    assert ModelCoder(model).edit(SCRIPT, "set b to 3") == "a = 1\nb = 3\n"
    ((system, user),) = model.prompts
    assert system.role == "system"
    assert user.text == f"Instruction: set b to 3\n\nThe script:\n```python\n{SCRIPT}\n```"


@pytest.mark.parametrize(
    ("reply", "script"),
    [
        ("no code at all", None),
        ("```python\nnever ended", None),
        ("```python\n\n```", None),
        ("```\na = 1\n```", "a = 1\n"),
        ("```py\na = 1\n```\nor, shorter:\n```py\na\n```", "a = 1\n"),
        # The longest that is Python, before one that is longer and is not.
        ("```\na = 1\n```\n```\n$ pip install a-long-name\n```", "a = 1\n"),
        # Fences inside of the script's own text do not end it.
        (
            '```python\n"""Usage:\n```\nrun me\n```\n"""\na = 1\n```',
            '"""Usage:\n```\nrun me\n```\n"""\na = 1\n',
        ),
        # A script that is no Python is what the coder wrote, all the same.
        ("```python\na = (\n```", "a = (\n"),
    ],
)
def test_the_script_in_a_reply(reply: str, script: str | None) -> None:
    assert script_in(reply) == script


def test_a_coder_that_forgets_the_block_is_reminded_once() -> None:
    model = ScriptedModel(["b = 3", "```python\nb = 3\n```"])
    assert ModelCoder(model).edit(SCRIPT, "only b") == "b = 3\n"
    assert [message.text for message in model.prompts[1][2:3]] == ["b = 3"]
    assert "no whole ```python block" in model.prompts[1][3].text


def test_a_reply_without_code_is_our_failure() -> None:
    with pytest.raises(ModelError, match="the coder frozen wrote no whole script, asked twice"):
        ModelCoder(ScriptedModel(["I cannot.", "Sorry."], policy="frozen")).edit(SCRIPT, "x")


class CutOff(ScriptedModel):
    """Says a whole block, but not all it had to say."""

    def _next(self) -> Completion:
        return super()._next().model_copy(update={"finished": False})


def test_a_reply_that_was_cut_off_is_no_script() -> None:
    with pytest.raises(ModelError):
        ModelCoder(CutOff(["```python\na\n```"] * 2)).edit(SCRIPT, "x")


def test_a_file_is_read_from_its_head_and_its_tail() -> None:
    model = ScriptedModel(["It trains a tree.\n"])
    content = "h" * 20_000 + "m" * 500 + "t" * 20_000
    assert ModelCoder(model).answer(content, "the model") == "It trains a tree."
    shown = model.prompts[0][1].text
    assert shown.startswith("Look for: the model\n")
    assert "hh\n[500 characters cut]\ntt" in shown
    assert "m" * 10 not in shown


def test_a_coder_that_says_nothing_of_a_file_is_our_failure() -> None:
    with pytest.raises(ModelError, match="said nothing"):
        ModelCoder(ScriptedModel([" \n"])).answer(SCRIPT, "x")


def test_the_same_instruction_is_asked_in_the_same_way() -> None:
    asked: list[tuple[Sampling, object]] = []

    class Noting(ScriptedModel):
        def sample(
            self, prompts: object, sampling: Sampling, *, seed: object
        ) -> list[list[Completion]]:
            asked.append((sampling, seed))
            return [[Completion(text="```\na\n```", policy="x")]]

    coder = ModelCoder(Noting([]), max_tokens=77)
    coder.edit(SCRIPT, "x")
    coder.edit(SCRIPT, "x")
    assert asked == [(Sampling(temperature=0.0, max_tokens=77), 0)] * 2

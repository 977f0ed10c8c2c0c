"""Between messages and tokens: what a chat model is shown, and where its turn ends."""

import threading
from collections.abc import Iterable, Sequence
from typing import Any

from ml_agent.core.errors import ModelError
from ml_agent.core.records import Message

_MARK = "THE-ANSWER"


class Chat:
    """A tokenizer with its chat template; safe to share between threads.

    Attributes:
        end_of_turn: The token by which the model ends its turn; completions are trained with it.
        invitation: The tokens by which a prompt asks for the answer; every prompt ends with them.
        stops: Every token at which sampling stops, `end_of_turn` among them.
    """

    def __init__(self, tokenizer: Any, *, stops: Iterable[int] = ()) -> None:
        """Wrap a tokenizer.

        Args:
            tokenizer: Of transformers.
            stops: Further tokens that end a turn, as the model's own settings name them.

        Raises:
            ModelError: The tokenizer has no chat template.
        """
        if not tokenizer.chat_template:
            raise ModelError(
                f"{tokenizer.name_or_path} has no chat template, so it is not known how to ask "
                "it. Choose an instruction-tuned model."
            )
        self._tokenizer = tokenizer
        self._alone = threading.Lock()
        self.end_of_turn = self._find_end_of_turn()
        self.invitation = self._find_invitation()
        self.stops = frozenset({self.end_of_turn, *stops})

    @property
    def tokenizer(self) -> Any:
        """The tokenizer itself, to be saved beside trained weights."""
        return self._tokenizer

    def prompt_ids(self, messages: Sequence[Message]) -> tuple[int, ...]:
        """Tokens of a conversation, up to where the model's answer begins.

        A message that spells a control token is read as the letters it is made of: the output of
        a script must not end a turn or begin one.
        """
        texts = [message.text for message in messages]
        controls = self._tokenizer.all_special_tokens
        forged = any(control in text for text in texts for control in controls)
        contents = [f"{_MARK}-{number}." for number in range(len(texts))] if forged else texts
        turns = [
            {"role": message.role, "content": content}
            for message, content in zip(messages, contents, strict=True)
        ]
        rendered = self._render(turns, answer=True)
        if not forged:
            return self._encode(rendered)
        ids: list[int] = []
        for mark, text in zip(contents, texts, strict=True):
            before, _, rendered = rendered.partition(mark)
            ids += [*self._encode(before), *self._encode(text, as_letters=True)]
        return (*ids, *self._encode(rendered))

    def completion_ids(self, text: str) -> tuple[int, ...]:
        """Tokens of an answer, the end of the turn included."""
        return (*self._encode(text, as_letters=True), self.end_of_turn)

    def text(self, token_ids: Sequence[int]) -> str:
        """What an answer says, without the tokens that end it."""
        kept = [token for token in token_ids if token not in self.stops]
        return str(self._tokenizer.decode(kept, skip_special_tokens=True))

    def _encode(self, text: str, *, as_letters: bool = False) -> tuple[int, ...]:
        # How it splits is a state of the tokenizer: two threads would change it for each other.
        with self._alone:
            encoded = self._tokenizer(
                text, add_special_tokens=False, split_special_tokens=as_letters
            )
        return tuple(encoded.input_ids)

    def _render(self, turns: list[dict[str, str]], *, answer: bool) -> str:
        rendered = self._tokenizer.apply_chat_template(
            turns, tokenize=False, add_generation_prompt=answer
        )
        return str(rendered)

    def _find_invitation(self) -> tuple[int, ...]:
        """What the template writes before an answer, `<|im_start|>assistant` or the like."""
        turns = [{"role": "user", "content": _MARK}]
        asked, stated = self._render(turns, answer=True), self._render(turns, answer=False)
        added = self._encode(asked.removeprefix(stated))
        if asked.startswith(stated) and added and self._encode(asked)[-len(added) :] == added:
            return added
        return self._encode(asked)[-1:]

    def _find_end_of_turn(self) -> int:
        """What the template writes after an answer: base models' `eos` is often another token."""
        turns = [{"role": "user", "content": "?"}, {"role": "assistant", "content": _MARK}]
        tail = self._encode(self._render(turns, answer=False).rpartition(_MARK)[2])
        if tail and tail[0] in self._tokenizer.all_special_ids:
            return tail[0]
        if self._tokenizer.eos_token_id is None:
            raise ModelError(
                f"{self._tokenizer.name_or_path} names no token that ends a turn. "
                "Choose an instruction-tuned model."
            )
        return int(self._tokenizer.eos_token_id)

"""A language model in this process: CPU in float32 on all cores, or a GPU in bfloat16."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch

from ml_agent.core.errors import ModelError, boundary, enough_memory
from ml_agent.core.records import Completion, Message
from ml_agent.models.attention import use_layouts
from ml_agent.models.chat import Chat
from ml_agent.models.contract import Sampling
from ml_agent.models.decoding import Sampled, decode
from ml_agent.models.embedded import find_on_hub, resolve_model
from ml_agent.models.products import expect_few_rows
from ml_agent.models.prompts import PromptCache

MAX_ROWS = 48
"""Sequences decoded together: more use the cores no better, and each needs memory for its past."""

MAX_ROWS_GPU = 256
"""The same on a GPU, where a step takes about as long for many as for one."""


def load_network(name: str, *, precise: bool = False) -> tuple[Any, Chat]:
    """A causal language model and its chat format.

    Args:
        name: As for `resolve_model`.
        precise: Float32 on a GPU too: all weights are to be trained, and bfloat16 would round
            small updates away.

    Raises:
        UsageError: The name is a folder that holds no model.
        ModelError: It cannot be loaded.
    """
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from transformers.utils import logging as notices

    source = resolve_model(name)
    if isinstance(source, str):
        find_on_hub(source)
    cuda = torch.cuda.is_available()
    notices.disable_progress_bar()  # type: ignore[no-untyped-call]
    try:
        tokenizer = AutoTokenizer.from_pretrained(source)
        network: Any = AutoModelForCausalLM.from_pretrained(
            source, dtype=torch.bfloat16 if cuda and not precise else torch.float32
        )
    except (OSError, ValueError, KeyError, RuntimeError, SafetensorError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ModelError(
            f"the model {name!r} cannot be loaded ({first}). Give the name of a model on the hub "
            "that this machine can reach, a folder in Hugging Face format, or leave --model out."
        ) from error
    network.requires_grad_(False)
    network.eval()
    use_layouts(network)
    if not cuda:
        expect_few_rows(network)
    stops = getattr(network.generation_config, "eos_token_id", None)
    listed = stops if isinstance(stops, list) else [] if stops is None else [stops]
    if cuda:
        with enough_memory(ModelError, f"the model {name!r}", "Choose a smaller one."):
            network = network.to("cuda")
    return network, Chat(tokenizer, stops=listed)


class LocalModel:
    """Samples from a network in this process."""

    def __init__(
        self,
        network: Any,
        chat: Chat,
        *,
        policy: str,
        cache: PromptCache | None = None,
        ending: int = 1,
        max_rows: int | None = None,
    ) -> None:
        """Wrap a network.

        Args:
            network: Made ready by `use_layouts`; adapters merged, for unmerged ones are slow.
            chat: The network's chat format.
            policy: Name and version of the weights.
            cache: Reads prompts, but for their last `ending` tokens; None: the network itself does.
            ending: As for `decode`.
            max_rows: Sequences decoded together, at most, and where there is memory for them. None:
                what suits the device.
        """
        self._network = network
        self._chat = chat
        self._cache = cache or PromptCache(network)
        self._ending = ending
        on_gpu = network.device.type == "cuda"
        self._max_rows = max_rows or (MAX_ROWS_GPU if on_gpu else MAX_ROWS)
        self._retired = False
        self.policy = policy
        self._until = math.inf

    @classmethod
    def load(cls, name: str, *, policy: str | None = None) -> "LocalModel":
        """Load a model by name or folder; see `load_network` for what is raised."""
        network, chat = load_network(name)
        return cls(network, chat, policy=policy or Path(name).name)

    def wait_until(self, moment: float) -> None:
        """Cut answers off at this moment, as `time.monotonic` tells it."""
        self._until = moment

    def retire(self) -> None:
        """Refuse further calls: the weights underneath are about to become another policy's."""
        self._retired = True

    def sample(
        self,
        prompts: Sequence[Sequence[Message]],
        sampling: Sampling,
        *,
        seed: int | Sequence[int],
    ) -> list[list[Completion]]:
        """Answer every prompt `sampling.samples` times; see `Model`.

        Log-probabilities are natural, under the distribution that was sampled from: after
        temperature and top_p where these are not 1. Greedy ones are under the model's own.
        """
        if self._retired:
            raise ModelError(f"the weights of {self.policy} have changed; take a new sampler")
        short = "Ask for fewer or shorter answers at once, or choose a smaller model."
        with (
            boundary(ModelError, f"sampling from {self.policy}"),
            enough_memory(ModelError, f"sampling from {self.policy}", short),
        ):
            ids = [self._chat.prompt_ids(prompt) for prompt in prompts]
            seeds = (
                [_stream(seed, place) for place in range(len(ids))]
                if isinstance(seed, int)
                else list(seed)
            )
            answers: list[list[Completion]] = []
            for start, end in self._batches(list(map(len, ids)), sampling):
                chunk = ids[start:end]
                groups = decode(
                    self._network,
                    chunk,
                    sampling,
                    cache=self._cache,
                    stops=self._chat.stops,
                    seeds=seeds[start:end],
                    ending=self._ending,
                    until=self._until,
                )
                for prompt, group in zip(chunk, groups, strict=True):
                    answers.append([self._completion(prompt, row) for row in group])
            return answers

    @property
    def context_tokens(self) -> int | None:
        """How long a prompt and its answer may be together; None: it does not say."""
        longest: int | None = getattr(self._network.config, "max_position_embeddings", None)
        return longest

    def prompt_tokens(self, messages: Sequence[Message]) -> int:
        """How long a conversation is as a prompt. Threads may ask this while another samples.

        Raises:
            ModelError: The chat format has no place for it, as for two answers in a row.
        """
        with boundary(ModelError, f"putting a conversation into the format of {self.policy}"):
            return len(self._chat.prompt_ids(messages))

    def _batches(self, lengths: Sequence[int], sampling: Sampling) -> Iterator[tuple[int, int]]:
        """Split prompts of these lengths, in order, into what is decoded together.

        Yields:
            The first prompt of a batch, and the one after its last.
        """
        most, room = max(1, self._max_rows // sampling.samples), self._room()
        own = sampling.samples * (sampling.max_tokens + self._ending)
        start = 0
        while start < len(lengths):
            end, longest = start + 1, lengths[start]
            while end < min(len(lengths), start + most):
                longest = max(longest, lengths[end])
                if (end + 1 - start) * (longest + own) > room:
                    break
                end += 1
            yield start, end
            start = end

    def _room(self) -> float:
        """Tokens whose past fits into half of the GPU's free memory; a processor's rows are few."""
        if self._network.device.type != "cuda":
            return math.inf
        config = self._network.config
        heads = getattr(config, "num_key_value_heads", None) or config.num_attention_heads
        size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
        each: int = 2 * config.num_hidden_layers * heads * size * self._network.dtype.itemsize
        ours = torch.cuda.memory_reserved() - torch.cuda.memory_allocated()
        return (torch.cuda.mem_get_info()[0] + ours) / 2 / each

    def _completion(self, prompt: tuple[int, ...], row: Sampled) -> Completion:
        return Completion(
            text=self._chat.text(row.token_ids),
            policy=self.policy,
            token_ids=tuple(row.token_ids),
            logprobs=tuple(row.logprobs),
            prompt_tokens=len(prompt),
            finished=row.finished,
        )


def _stream(seed: int, prompt: int) -> int:
    """A seed of its own for every prompt of a call (a multiplicative hash, modulo 2**63)."""
    return (seed * 0x9E3779B97F4A7C15 + prompt * 0xBF58476D1CE4E5B9 + 1) % 2**63

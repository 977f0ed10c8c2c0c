"""Supervised fine-tuning: imitate recorded answers.

    L = -E[ sum_t log pi(a_t | s_t) ]           (arXiv 2505.23723, section 3.1)

Only the tokens of answers carry loss, the end of the turn among them. Deviation: the sum is divided
by the answer tokens of each update. Examples of an update are packed into rows without padding, and
a prompt that several of them share is computed once.
"""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING

from ml_agent.core.errors import TrainingError, UsageError, enough_memory
from ml_agent.core.records import Message
from ml_agent.train.policy import LESS_MEMORY, Policy

if TYPE_CHECKING:
    from torch.optim import Optimizer

    from ml_agent.train.packing import Tokens

ROW_TOKENS = 1024
"""Tokens computed together, unless it is said otherwise: about 3 MiB a token for the embedded
model."""

Pair = tuple[Sequence[Message], str]
"""What was seen, and what was answered."""


@dataclass(frozen=True, kw_only=True)
class SFTConfig:
    """How to imitate. The learning rate falls to zero along a cosine, without warm-up."""

    lr: float = 5e-4
    """For a LoRA adapter; all weights want about a twentieth of it."""
    epochs: int = 2
    updates: int | None = None
    """So many in the place of whole epochs: for comparing what is imitated at equal cost."""
    batch: int = 4
    """Examples an update, at most: those of one prompt are not parted to fill one up."""
    max_tokens: int = 2048
    """Longer examples, prompt and answer together, are dropped and counted."""
    row_tokens: int = ROW_TOKENS
    """Tokens computed together: bounds memory, changes no result."""
    max_grad_norm: float = 1.0
    checkpoint_every: int = 10
    """Updates after which a stage that is stopped goes on where it was."""
    seed: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            UsageError: A figure is out of range.
        """
        if self.lr <= 0 or self.max_grad_norm <= 0:
            raise UsageError("sft: lr and max_grad_norm must be positive")
        counts = (self.epochs, self.batch, self.max_tokens, self.row_tokens, self.checkpoint_every)
        if min(counts) < 1:
            raise UsageError(
                "sft: epochs, batch, max_tokens, row_tokens and checkpoint_every must be at least 1"
            )
        if self.updates is not None and self.updates < 1:
            raise UsageError(f"sft.updates is {self.updates}; give 1 at least, or none")


@dataclass(frozen=True, kw_only=True)
class SFTReport:
    """What fine-tuning did, since it was last taken up."""

    examples: int
    """That were imitated, in every epoch."""
    dropped: tuple[int, ...]
    """Which were longer than `max_tokens`, by their places among those that were given."""
    updates: int
    action_tokens: int
    """That carried loss, over all epochs."""
    loss: float
    """Mean over the updates of the last epoch."""
    seconds: float


@dataclass(frozen=True)
class _Example:
    prompt: tuple[int, ...]
    completion: tuple[int, ...]


def sft(
    policy: Policy,
    examples: Sequence[Pair],
    config: SFTConfig,
    *,
    first_update: int = 1,
    on_update: Callable[[Mapping[str, float]], None] = lambda _: None,
) -> SFTReport:
    """Fine-tune a policy in place.

    Args:
        policy: What learns.
        examples: Prompts and answers.
        config: The figures.
        first_update: Where to begin; the policy is what the updates before made of it.
        on_update: Told the figures of every update: loss, lr, tokens a second and the like.

    Raises:
        TrainingError: Nothing is left to imitate, or numbers are not finite.
    """
    began = monotonic()
    kept, dropped = _tokenise(policy, examples, config)
    epochs = _epochs(kept, config)
    total, update, action_tokens = sum(map(len, epochs)), 0, 0
    losses: list[float] = []
    for epoch, batches in enumerate(epochs, 1):
        losses = []
        for batch in batches:
            update += 1
            if update < first_update:
                continue
            started = monotonic()
            lr = config.lr * 0.5 * (1 + math.cos(math.pi * (update - 1) / total))
            less = f"Lower sft.row_tokens or sft.max_tokens, {LESS_MEMORY}."
            with enough_memory(TrainingError, "an update of fine-tuning", less):
                figures = _update(policy, _shared(batch), policy.optimizer(lr), config)
            action_tokens += int(figures["action_tokens"])
            losses.append(figures["loss"])
            speed = figures["tokens"] / (monotonic() - started)
            figures |= {"update": update, "epoch": epoch, "lr": lr}
            on_update({**figures, "examples": len(batch), "tokens_per_s": speed})
    return SFTReport(
        examples=len(kept),
        dropped=dropped,
        updates=update,
        action_tokens=action_tokens,
        loss=sum(losses) / max(1, len(losses)),
        seconds=monotonic() - began,
    )


def _update(
    policy: Policy, groups: "Sequence[Tokens]", optimizer: "Optimizer", config: SFTConfig
) -> dict[str, float]:
    import torch

    optimizer.zero_grad(set_to_none=True)
    summed = add_gradient(policy, groups, row_tokens=config.row_tokens)
    norm = float(torch.nn.utils.clip_grad_norm_(policy.trained, config.max_grad_norm))
    if not math.isfinite(summed) or not math.isfinite(norm):
        raise TrainingError(
            f"fine-tuning went wrong: loss {summed}, gradient {norm}. Lower sft.lr and start again."
        )
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    computed = sum(map(policy.computed, groups))
    scored = sum(group.scored for group in groups)
    return {"loss": summed, "grad_norm": norm, "tokens": computed, "action_tokens": scored}


def add_gradient(
    policy: Policy, groups: "Sequence[Tokens]", *, row_tokens: int = ROW_TOKENS, weight: float = 1.0
) -> float:
    """Add the gradient of the mean loss of completions' tokens.

    Args:
        policy: What learns.
        groups: Prompts and completions.
        row_tokens: Tokens computed together; changes no result.
        weight: By which the gradient is multiplied.

    Returns:
        The loss, before the weight.
    """
    from ml_agent.train.losses import negative_log_likelihood
    from ml_agent.train.packing import rows_of

    scored, summed = sum(group.scored for group in groups), 0.0
    for row in rows_of(groups, row_tokens, policy.computed):
        loss = negative_log_likelihood(policy.token_logprobs(row), denominator=scored)
        (weight * loss).backward()  # type: ignore[no-untyped-call]
        summed += float(loss.detach())
    return summed


def _tokenise(
    policy: Policy, examples: Sequence[Pair], config: SFTConfig
) -> tuple[list[_Example], tuple[int, ...]]:
    """The examples that are short enough, and the places of the others."""
    chat = policy.chat
    kept: list[_Example] = []
    dropped: list[int] = []
    for place, (prompt, text) in enumerate(examples):
        one = _Example(chat.prompt_ids(prompt), chat.completion_ids(text))
        if len(one.prompt) + len(one.completion) <= config.max_tokens:
            kept.append(one)
        else:
            dropped.append(place)
    if not kept:
        raise TrainingError(
            f"nothing to imitate: of {len(examples)} examples all are longer than "
            f"{config.max_tokens} tokens. Raise sft.max_tokens or collect others."
            if examples
            else "nothing to imitate: there are no examples. Collect trajectories first."
        )
    return kept, tuple(dropped)


def _epochs(examples: Sequence[_Example], config: SFTConfig) -> list[list[list[_Example]]]:
    """The batches of every epoch; the last one is cut short where updates are counted."""
    shuffler, left = random.Random(config.seed), config.updates
    found: list[list[list[_Example]]] = []
    while len(found) < config.epochs if left is None else left > 0:
        batches = _batches(examples, shuffler, at_most=config.batch)
        found.append(batches[:left])
        left = None if left is None else left - len(batches)
    return found


def _batches(
    examples: Sequence[_Example], shuffler: random.Random, *, at_most: int
) -> list[list[_Example]]:
    """All examples in random order, up to `at_most` an update.

    Examples of one prompt stand together and share its computation; no update parts them but where
    they are more than it may have.
    """
    by_prompt: dict[tuple[int, ...], list[_Example]] = {}
    for example in shuffler.sample(examples, len(examples)):
        by_prompt.setdefault(example.prompt, []).append(example)
    blocks = [
        found[start : start + at_most]
        for found in by_prompt.values()
        for start in range(0, len(found), at_most)
    ]
    shuffler.shuffle(blocks)
    batches: list[list[_Example]] = [[]]
    for block in blocks:
        if len(batches[-1]) + len(block) > at_most:
            batches.append([])
        batches[-1] += block
    return batches


def _shared(batch: Sequence[_Example]) -> "list[Tokens]":
    """The examples of an update, those with the same prompt together."""
    from ml_agent.train.packing import Tokens

    by_prompt: dict[tuple[int, ...], list[tuple[int, ...]]] = {}
    for example in batch:
        by_prompt.setdefault(example.prompt, []).append(example.completion)
    return [Tokens(prompt=p, completions=tuple(found)) for p, found in by_prompt.items()]

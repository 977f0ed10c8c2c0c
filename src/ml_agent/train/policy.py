"""A policy under training: a causal language model with an adapter, or all of its weights.

Which weights learn:

    alora   an adapter that acts on answers alone (activated LoRA, arXiv:2504.12397). Prompts are
            read by the model as it is, so what was read of one stays true whatever is learned: by
            the sampler, the update and the reference, in every epoch. Most tokens are prompts.
    lora    an adapter that acts on every token: prompts are computed anew whenever weights moved.
    full    all weights.

Covered: log-probabilities with the prompt computed once for all its completions; a sampler with
the adapter merged; a frozen reference for the KL term; checkpoints in Hugging Face format.
Not covered: several GPUs. On one GPU the merged sampler rounds to bfloat16, so that its
log-probabilities differ from training's by rounding; on a CPU they agree to 1e-4.

torch is imported inside functions, so that recipes can be read without it.
"""

import warnings
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from ml_agent.core.errors import TrainingError, boundary
from ml_agent.train.checkpoints import (
    BESIDE,
    MOMENTA,
    Checkpoint,
    momenta,
    read_checkpoint,
    restore_momenta,
    writing,
)

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

    from ml_agent.models.chat import Chat
    from ml_agent.models.local import LocalModel
    from ml_agent.train.packing import AnswerRow, Row, Tokens

Weights = Literal["alora", "lora", "full"]
"""Which weights learn; see the head of this file."""

LESS_MEMORY = "set gradient_checkpointing=true unless it is, or choose a smaller model"
"""What helps where learning did not fit into memory."""

LORA_RANK = 16
LORA_ALPHA = 32
_ADAPTER = "default"


class Policy:
    """Weights that learn.

    Attributes:
        model: Name of the model underneath.
        chat: Its chat format.
        weights: Which of them learn.
    """

    def __init__(
        self, model: str, network: Any, chat: "Chat", *, weights: Weights, seed: int
    ) -> None:
        """Make a network trainable. `load` is the way to get one by name."""
        import torch

        from ml_agent.models.prompts import PromptCache

        self.model = model
        self.chat = chat
        self.weights = weights
        self._network = network
        self._adapted: Any = None
        self._merged: Any = None
        self._prompts: PromptCache | None = None
        self._sampler: LocalModel | None = None
        self._optimizer: Optimizer | None = None
        if weights == "full":
            network.requires_grad_(True)
        else:
            from peft import LoraConfig, get_peft_model

            config = LoraConfig(
                r=LORA_RANK,
                lora_alpha=LORA_ALPHA,
                target_modules="all-linear",
                task_type="CAUSAL_LM",
            )
            with torch.random.fork_rng(), warnings.catch_warnings():
                # peft calls a name that transformers has renamed; nothing to do for our reader.
                warnings.simplefilter("ignore", FutureWarning)
                torch.manual_seed(seed)
                self._adapted = get_peft_model(network, config)
            config = self._adapted.peft_config[_ADAPTER]
            config.base_model_name_or_path = model
            if weights == "alora":
                # For those who load a checkpoint. Not given to PEFT before: it would leave the
                # adapter off here, where every token that is computed with it is an answer's.
                config.alora_invocation_tokens = list(chat.invitation)
                self._prompts = PromptCache(network, reading=self._adapted.disable_adapter)
        self._trained = {
            name: weights for name, weights in network.named_parameters() if weights.requires_grad
        }
        self._reference = self._copied()

    @classmethod
    def load(
        cls,
        model: str,
        *,
        weights: Weights = "alora",
        seed: int = 0,
        gradient_checkpointing: bool = False,
    ) -> "Policy":
        """A model by name.

        Args:
            model: As for `resolve_model`.
            weights: Which of them learn.
            seed: Of the adapter's initial weights.
            gradient_checkpointing: Learn in less memory and more time, see `train.recompute`.

        Raises:
            UsageError: The name is a folder that holds no model.
            ModelError: The model cannot be loaded.
        """
        from ml_agent.models.local import load_network
        from ml_agent.train.recompute import recompute_layers

        network, chat = load_network(model, precise=weights == "full")
        if gradient_checkpointing:
            recompute_layers(network)
        return cls(model, network, chat, weights=weights, seed=seed)

    @property
    def trained(self) -> list["Tensor"]:
        """The weights that learn."""
        return list(self._trained.values())

    @property
    def trained_names(self) -> list[str]:
        """Their names in the network, in the same order."""
        return list(self._trained)

    def optimizer(self, lr: float) -> "Optimizer":
        """AdamW without decay, with its momenta kept from update to update.

        Args:
            lr: Learning rate of the next step.
        """
        from torch.optim import AdamW

        if self._optimizer is None:
            self._optimizer = AdamW(self.trained, lr=lr, weight_decay=0.0)
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        return self._optimizer

    @property
    def width(self) -> int:
        """Size of its hidden states."""
        return int(self._network.config.hidden_size)

    def token_logprobs(self, groups: Sequence["Tokens"], *, temperature: float = 1.0) -> "Tensor":
        """Log-probabilities of every completion token, all groups computed in one row.

        Args:
            groups: Prompts and completions.
            temperature: By which the logits are divided: those of sampling at it are comparable.

        Returns:
            [S] in the order of groups, completions and tokens; with gradient.
        """
        return self.token_outputs(groups, temperature=temperature)[0]

    def token_outputs(
        self, groups: Sequence["Tokens"], *, temperature: float = 1.0
    ) -> tuple["Tensor", "Tensor"]:
        """The same, and the hidden states [S, C] that each token was predicted from."""
        from torch.nn.functional import cross_entropy

        row = self._row(groups)
        out = self._network.base_model(
            input_ids=row.ids_T[None],
            position_ids=row.positions_T[None],
            use_cache=False,
            layout=row,
        )
        # The vocabulary is the widest layer by far: only where it is scored.
        hidden_SC = out.last_hidden_state[0, row.predicts_S]
        logits_SV = self._network.lm_head(hidden_SC).float()
        logprobs_S = -cross_entropy(logits_SV / temperature, row.targets_S, reduction="none")
        return logprobs_S, hidden_SC

    @property
    def row_tokens(self) -> int:
        """Tokens that an update computes together unless it is said otherwise.

        In float32 the embedded model takes about 3 MiB for each, unless layers are computed again.
        Where prompts are computed with their answers a row holds more: a group that is parted
        computes its prompt again.
        """
        rows = 1024 if self._prompts is not None else 4096
        return 4 * rows if self._network.device.type == "cuda" else rows

    def computed(self, group: "Tokens") -> int:
        """How many tokens of a group `token_logprobs` computes."""
        if self.weights != "alora":
            return group.packed
        return group.scored + (len(self.chat.invitation) - 1) * len(group.completions)

    def _row(self, groups: Sequence["Tokens"]) -> "AnswerRow | Row":
        from ml_agent.train.packing import AnswerRow, Row

        if self._prompts is None:
            return Row(groups, self._network.device)
        ending = len(self.chat.invitation)
        read = self._prompts.read([group.prompt[:-ending] for group in groups])
        return AnswerRow(groups, read, ending)

    def reference_logprobs(
        self, groups: Sequence["Tokens"], *, temperature: float = 1.0
    ) -> "Tensor":
        """The same under the reference weights, without gradient."""
        import torch

        with torch.no_grad(), self._as_reference():
            return self.token_logprobs(groups, temperature=temperature)

    def sampler(self, name: str) -> "LocalModel":
        """A model that samples from the weights as they are now.

        The weights are merged into a second copy, for an unmerged adapter decodes slowly; the
        sampler that was given out before refuses to answer from then on.

        Args:
            name: The policy's name and version in records.
        """
        from ml_agent.models.local import LocalModel, load_network

        if self._sampler is not None:
            self._sampler.retire()
        if self._merged is None:
            self._merged, _ = load_network(self.model)
        self._merge()
        self._sampler = LocalModel(
            self._merged,
            self.chat,
            policy=name,
            cache=self._prompts,
            ending=len(self.chat.invitation),
        )
        return self._sampler

    def save(
        self,
        folder: Path,
        *,
        step: int = 0,
        beside: Mapping[str, "Tensor"] | None = None,
        texts: Mapping[str, str] | None = None,
    ) -> None:
        """Write a checkpoint; a kill or a full disk leaves none that could be trusted.

        Args:
            folder: Its place; what is there is replaced.
            step: Updates of a stage behind it that goes on: the momenta are kept too. 0: it is
                the stage's end.
            beside: What an algorithm has learned beside it.
            texts: Further files, by name.

        Raises:
            DiskFull: No space is left.
        """
        from safetensors.torch import save_file

        record = Checkpoint(
            model=self.model,
            weights=self.weights,
            step=step,
            versions={
                name: version(name) for name in ("ml-agent", "torch", "transformers", "peft")
            },
        )
        with writing(folder, record) as partial:
            if self.weights == "full":
                self._network.save_pretrained(partial)
                self.chat.tokenizer.save_pretrained(partial)
            else:
                # "auto" would ask the hub whether the vocabulary has changed.
                self._adapted.save_pretrained(partial, save_embedding_layers=False)
            if step:
                save_file(momenta(self._optimizer, self._trained), partial / MOMENTA)
            if beside:
                save_file(dict(beside), partial / BESIDE)
            for name, text in (texts or {}).items():
                (partial / name).write_text(text)

    def take(self, folder: Path) -> int:
        """Take a checkpoint's weights; the reference stays where it is.

        Returns:
            The updates behind the checkpoint.

        Raises:
            TrainingError: It is no checkpoint, or of another model or kind of weights.
        """
        from peft import load_peft_weights, set_peft_model_state_dict

        from ml_agent.models.local import load_network

        record = read_checkpoint(folder, model=self.model, weights=self.weights)
        with boundary(TrainingError, f"reading the checkpoint {folder}"):
            if self.weights == "full":
                self._network.load_state_dict(
                    load_network(str(folder), precise=True)[0].state_dict()
                )
            else:
                weights = load_peft_weights(str(folder), device=str(self._network.device))
                set_peft_model_state_dict(self._adapted, weights)
        return record.step

    def start_from(self, folder: Path) -> None:
        """Take a checkpoint's weights; from now on the KL term holds to them.

        Raises:
            TrainingError: As for `take`.
        """
        self.take(folder)
        self._reference = self._copied()

    def go_on_from(self, folder: Path) -> tuple[int, dict[str, "Tensor"]]:
        """Take a checkpoint's weights and its optimizer's momenta: go on as if never stopped.

        Returns:
            The updates behind the checkpoint, and what was learned beside the policy.

        Raises:
            TrainingError: As for `take`.
        """
        from safetensors.torch import load_file

        step = self.take(folder)
        # Every use of an optimizer sets its rate anew.
        optimizer = self.optimizer(lr=0.0)
        with boundary(TrainingError, f"reading {folder / MOMENTA}"):
            restore_momenta(optimizer, self._trained, load_file(folder / MOMENTA))
            beside = load_file(folder / BESIDE) if (folder / BESIDE).exists() else {}
        return step, beside

    def _copied(self) -> Mapping[str, "Tensor"]:
        return {name: weights.detach().clone() for name, weights in self._trained.items()}

    @contextmanager
    def _as_reference(self) -> Iterator[None]:
        """Compute with the reference's weights; nothing is copied, so nothing drifts."""
        current = {name: weights.data for name, weights in self._trained.items()}
        try:
            for name, weights in self._trained.items():
                weights.data = self._reference[name]
            yield
        finally:
            for name, weights in self._trained.items():
                weights.data = current[name]

    def _merge(self) -> None:
        """Write base + scale * B A (or the weights themselves) into the sampler's copy."""
        import torch

        with torch.no_grad():
            for name, target in self._merged.named_parameters():
                path, _, leaf = name.rpartition(".")
                module = self._network.get_submodule(path)
                weights = getattr(getattr(module, "base_layer", module), leaf)
                if leaf == "weight" and hasattr(module, "get_delta_weight"):
                    target.copy_(weights + module.get_delta_weight(_ADAPTER))
                elif self.weights == "full":
                    target.copy_(weights)
                else:
                    target.data = weights.data

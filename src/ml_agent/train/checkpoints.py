"""What stands in a checkpoint folder beside the weights, and how a folder becomes one.

The weights are in Hugging Face format: `adapter_model.safetensors` with PEFT's config, or the whole
model. Where training may go on, `optimizer.safetensors` holds AdamW's momenta. A folder has its
name only when it is whole, so a checkpoint that is there can be trusted.
"""

import errno
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import ValidationError

from ml_agent.assets import building
from ml_agent.core.base import Record
from ml_agent.core.errors import TrainingError

if TYPE_CHECKING:
    from torch import Tensor
    from torch.optim import Optimizer

_FILE = "checkpoint.json"
MOMENTA = "optimizer.safetensors"
"""As large as two copies of the weights that learn."""
BESIDE = "beside.safetensors"
"""What an algorithm has learned beside the policy: PPO's critic."""
WAITING = "waiting.json"
"""Where practice overlaps, the samples that no update had learned from yet."""

IMITATED = "imitated.json"
"""Where practice may rehearse it, what the policy was fine-tuned on."""


class Checkpoint(Record):
    """What a checkpoint is of."""

    schema_version: Literal[2] = 2
    model: str
    """Name of the model that was trained, as given."""
    weights: Literal["alora", "lora", "full"]
    """Which of them learned, as in `Policy`."""
    step: int
    """Updates of its stage behind it, where it was made in the middle of one; 0: at its end."""
    versions: dict[str, str]
    """Of the libraries that wrote it."""


@contextmanager
def writing(folder: Path, checkpoint: Checkpoint) -> Iterator[Path]:
    """A temporary folder for the weights, which becomes `folder` when the block ends well.

    A checkpoint that is there already is replaced; a kill leaves the old one or the new one.
    Between the two renames the old one is hidden; the run's next start puts it back.

    Raises:
        DiskFull: No space is left.
    """
    replaced = folder.with_name(f".replaced-{folder.name}-{os.getpid()}")
    with building(folder) as partial, _full_disk_as_os_error():
        yield partial
        (partial / _FILE).write_text(checkpoint.model_dump_json(indent=2) + "\n")
        if folder.exists():
            folder.rename(replaced)
    shutil.rmtree(replaced, ignore_errors=True)


@contextmanager
def _full_disk_as_os_error() -> Iterator[None]:
    """Libraries written in Rust have errors of their own for what the system says."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        if "No space left" in str(error):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error
        raise


def read_checkpoint(folder: Path, *, model: str, weights: str) -> Checkpoint:
    """The record of a checkpoint that fits a model.

    Raises:
        TrainingError: There is none, it cannot be read, or it is of something else.
    """
    try:
        found = Checkpoint.model_validate_json((folder / _FILE).read_bytes())
    except OSError as error:
        raise TrainingError(f"{folder} is no checkpoint: it holds no {_FILE}") from error
    except ValidationError as error:
        raise TrainingError(
            f"{folder / _FILE} was written by another version of ml-agent or is damaged "
            f"({error.errors()[0]['msg']}). Train again, or use the version that wrote it."
        ) from error
    if (found.model, found.weights) != (model, weights):
        raise TrainingError(
            f"{folder} is a checkpoint ({found.weights}) of {found.model}, not ({weights}) of "
            f"{model}. Use the model and the kind of training it was made with."
        )
    return found


def momenta(optimizer: "Optimizer | None", named: Mapping[str, "Tensor"]) -> dict[str, "Tensor"]:
    """What an optimizer remembers of named weights, by NAME.KIND; nothing before its first step."""
    state = optimizer.state if optimizer is not None else {}
    return {
        f"{name}.{kind}": tensor
        for name, weights in named.items()
        for kind, tensor in state.get(weights, {}).items()
    }


def restore_momenta(
    optimizer: "Optimizer", named: Mapping[str, "Tensor"], kept: Mapping[str, "Tensor"]
) -> None:
    """Have an optimizer remember what `momenta` gave."""
    for key, tensor in kept.items():
        name, _, kind = key.rpartition(".")
        weights = named[name]
        # AdamW counts its steps where the weights are not.
        moved = tensor if kind == "step" else tensor.to(weights.device)
        optimizer.state[weights][kind] = moved

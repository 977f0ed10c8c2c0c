import numpy as np
import pytest

from ml_agent.models.encoder import _encoder_folder, encode

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

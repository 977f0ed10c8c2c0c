"""A network whose weights are set by hand: it gives one of a few valid answers to any question.

Each answer is one token. Every other token's state points along one axis of the hidden space, an
answer's along a second one; the head reads the first as any answer, the second as the end.
"""

from collections.abc import Sequence
from pathlib import Path

from tiny_model import END_OF_TURN, write_tiny_model

RUN = 'Thought: See.\nAction: Execute Script\nAction Input: {"script_name": "train.py"}'


def before(code: str) -> str:
    """An edit that puts a line before all others."""
    return (
        f"Thought: {code}\nAction: Edit Script\nAction Input: "
        '{"start_line_number": 1, "end_line_number": 0, "script_name": "train.py", '
        f'"save_name": "train.py"}}\n```python\n{code}\n```'
    )


WAIT = before("import time; time.sleep(0.4)")
"""Every time a script that was never run before, so that no experiment is remembered."""
BREAK = before("1 / 0")
"""Earns less than the others, so that something is learned."""
FAR, SURE = 1000.0, 10.0


def write_puppet(folder: Path, said: Sequence[str] = (RUN, WAIT, BREAK)) -> Path:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    write_tiny_model(folder)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    tokenizer.add_tokens(list(said))
    answers = tokenizer.convert_tokens_to_ids(list(said))
    network = AutoModelForCausalLM.from_pretrained(folder)
    network.config.tie_word_embeddings = False
    network.resize_token_embeddings(len(tokenizer))
    read, written = network.get_input_embeddings().weight, torch.zeros(len(tokenizer), 32)
    with torch.no_grad():
        read[:, :2] = torch.tensor([FAR, 0.0])
        read[answers, :2] = torch.tensor([0.0, FAR])
        written[answers, 0] = SURE
        # Rows that are all the same would leave nothing to prefer one answer by.
        for place, answer in enumerate(answers, start=2):
            written[answer, place] = 1.0
        written[END_OF_TURN, 1] = SURE
        network.lm_head.weight = torch.nn.Parameter(written)
    network.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder

"""What does an update cost when a prompt is computed once for all its actions, or not at all?

Side by side in one run, on the embedded model: log-probabilities and gradients of G actions of one
state, in three ways: one row for each action; all actions behind one prompt, packed; and the
actions alone, with an adapter that acts on answers and a prompt that was read before. Prints
medians, their ratios to the first way, and the largest difference between the log-probabilities of
the ways (none of which has learned anything yet).

    python bench/packed_update.py [--actions 8] [--prompt 700] [--tokens 64] [--repeats 3] [--json]
"""

import argparse
import json
import os
import random
import statistics
import time
from collections.abc import Callable

# Before torch: a GPU is over later than it says, and `bench/learner.py` is for it.
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import torch

from ml_agent.models.embedded import EMBEDDED
from ml_agent.train.packing import Tokens
from ml_agent.train.policy import Policy


def timed(work: Callable[[], torch.Tensor]) -> tuple[float, torch.Tensor]:
    """Seconds of a forward and backward pass, and the log-probabilities."""
    began = time.perf_counter()
    logprobs_S = work()
    logprobs_S.sum().backward()  # type: ignore[no-untyped-call]
    return time.perf_counter() - began, logprobs_S.detach()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("actions", 8), ("prompt", 700), ("tokens", 64), ("repeats", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()

    everywhere, on_answers = (Policy.load(EMBEDDED, weights=w) for w in ("lora", "alora"))
    draw = random.Random(0)
    prompt = tuple(draw.randrange(100, 40_000) for _ in range(asked.prompt))
    actions = tuple(
        tuple(draw.randrange(100, 40_000) for _ in range(asked.tokens))
        for _ in range(asked.actions)
    )
    groups = [Tokens(prompt=prompt, completions=actions)]

    def one_by_one() -> torch.Tensor:
        rows = [Tokens(prompt=prompt, completions=(action,)) for action in actions]
        return torch.cat([everywhere.token_logprobs([row]) for row in rows])

    ways: dict[str, Callable[[], torch.Tensor]] = {
        "one_by_one": one_by_one,
        "packed": lambda: everywhere.token_logprobs(groups),
        "answers": lambda: on_answers.token_logprobs(groups),
    }
    began = time.perf_counter()
    with torch.no_grad():
        on_answers.token_logprobs(groups)
    found = {"first_answers_with_reading_s": time.perf_counter() - began}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    difference = 0.0
    for _ in range(asked.repeats):
        values = {}
        for way, work in ways.items():
            taken, values[way] = timed(work)
            seconds[way].append(taken)
        for way in ("packed", "answers"):
            apart = float((values[way] - values["one_by_one"]).abs().max())
            difference = max(difference, apart)
    medians = {way: statistics.median(taken) for way, taken in seconds.items()}
    found |= {f"{way}_s": taken for way, taken in medians.items()}
    for way in ("packed", "answers"):
        found[f"{way}_speedup"] = medians["one_by_one"] / medians[way]
    found["largest_difference"] = difference
    if asked.json:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            print(f"{name:<28} {value:.3g}")


if __name__ == "__main__":
    main()

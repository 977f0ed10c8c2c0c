"""How much faster is one update when a state's prompt is computed once for all its actions?

Side by side in one run, on the embedded model: log-probabilities and gradients of G actions of one
state, packed behind one prompt, against one row for each action. Prints medians and their ratio,
and the largest difference between the two ways' log-probabilities.

    python bench/packed_update.py [--actions 8] [--prompt 600] [--tokens 64] [--repeats 3] [--json]
"""

import argparse
import json
import random
import statistics
import time
from collections.abc import Callable

import torch

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
    for name, default in (("actions", 8), ("prompt", 600), ("tokens", 64), ("repeats", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()

    policy = Policy.load("smollm2-135m-instruct", weights="lora")
    draw = random.Random(0)
    prompt = tuple(draw.randrange(100, 40_000) for _ in range(asked.prompt))
    actions = tuple(
        tuple(draw.randrange(100, 40_000) for _ in range(asked.tokens))
        for _ in range(asked.actions)
    )
    packed = [Tokens(prompt=prompt, completions=actions)]

    def one_by_one() -> torch.Tensor:
        rows = [Tokens(prompt=prompt, completions=(action,)) for action in actions]
        return torch.cat([policy.token_logprobs([row]) for row in rows])

    seconds: dict[str, list[float]] = {"packed": [], "one_by_one": []}
    difference = 0.0
    for _ in range(asked.repeats):
        fast, together = timed(lambda: policy.token_logprobs(packed))
        slow, apart = timed(one_by_one)
        seconds["packed"].append(fast)
        seconds["one_by_one"].append(slow)
        difference = max(difference, float((together - apart).abs().max()))
    medians = {name: statistics.median(found) for name, found in seconds.items()}
    found = {
        "packed_s": medians["packed"],
        "one_by_one_s": medians["one_by_one"],
        "speedup": medians["one_by_one"] / medians["packed"],
        "largest_difference": difference,
    }
    if asked.json:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            print(f"{name:<20} {value:.3g}")


if __name__ == "__main__":
    main()

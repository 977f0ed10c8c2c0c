"""What does an update cost when a prompt is computed once for all its actions, or not at all?

Side by side in one run, on the embedded model: log-probabilities and gradients of G actions of one
state, in three ways: one row for each action; all actions behind one prompt, packed; and the
actions alone, with an adapter that acts on answers and a prompt that was read before. The latter
two also with layers that are computed again on the way back (`gradient_checkpointing`). Prints
medians, their ratios to the first way, the most memory that a way took in a process of its own,
and the largest difference between the log-probabilities of the ways (none of which has learned
anything yet).

    python bench/packed_update.py [--actions 8] [--prompt 700] [--tokens 64] [--repeats 3] [--json]
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

# Before torch: a GPU is over later than it says, and `bench/learner.py` is for it.
os.environ["CUDA_VISIBLE_DEVICES"] = ""

import torch

from ml_agent.models.embedded import EMBEDDED
from ml_agent.train.packing import Tokens
from ml_agent.train.policy import Policy, Weights

WAYS = ("packed", "packed_again", "answers", "answers_again")


def timed(work: Callable[[], torch.Tensor]) -> tuple[float, torch.Tensor]:
    """Seconds of a forward and backward pass, and the log-probabilities."""
    began = time.perf_counter()
    logprobs_S = work()
    logprobs_S.sum().backward()  # type: ignore[no-untyped-call]
    return time.perf_counter() - began, logprobs_S.detach()


def load(way: str) -> Policy:
    """The policy that a way computes with."""
    weights: Weights = "alora" if way.startswith("answers") else "lora"
    return Policy.load(EMBEDDED, weights=weights, gradient_checkpointing=way.endswith("again"))


def peak_mib(way: str, arguments: Sequence[str]) -> float:
    """Memory that a way takes beyond the policy and the prompt, in a process of its own."""
    call = [sys.executable, __file__, *arguments, "--alone", way]
    return float(subprocess.run(call, capture_output=True, text=True, check=True).stdout)


def alone(policy: Policy, groups: list[Tokens]) -> float:
    """The same of this process."""
    with torch.no_grad():
        policy.token_logprobs(groups)
    Path("/proc/self/clear_refs").write_text("5")  # The high-water mark is what is held now.
    before = resident("VmRSS")
    timed(lambda: policy.token_logprobs(groups))
    return (resident("VmHWM") - before) / 1024


def resident(name: str) -> int:
    """A figure of this process's memory, in KiB."""
    (line,) = (
        line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(name)
    )
    return int(line.split()[1])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("actions", 8), ("prompt", 700), ("tokens", 64), ("repeats", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--alone", choices=WAYS, help=argparse.SUPPRESS)
    asked = parser.parse_args()

    draw = random.Random(0)
    prompt = tuple(draw.randrange(100, 40_000) for _ in range(asked.prompt))
    actions = tuple(
        tuple(draw.randrange(100, 40_000) for _ in range(asked.tokens))
        for _ in range(asked.actions)
    )
    groups = [Tokens(prompt=prompt, completions=actions)]
    if asked.alone:
        print(alone(load(asked.alone), groups))
        return
    policies = {way: load(way) for way in WAYS}

    def one_by_one() -> torch.Tensor:
        rows = [Tokens(prompt=prompt, completions=(action,)) for action in actions]
        return torch.cat([policies["packed"].token_logprobs([row]) for row in rows])

    ways: dict[str, Callable[[], torch.Tensor]] = {"one_by_one": one_by_one}
    ways |= {way: partial(policy.token_logprobs, groups) for way, policy in policies.items()}
    began = time.perf_counter()
    with torch.no_grad():
        policies["answers"].token_logprobs(groups)
    found = {"first_answers_with_reading_s": time.perf_counter() - began}
    with torch.no_grad():
        policies["answers_again"].token_logprobs(groups)
    found |= {f"{way}_peak_mib": peak_mib(way, sys.argv[1:]) for way in WAYS}
    seconds: dict[str, list[float]] = {way: [] for way in ways}
    difference = 0.0
    for _ in range(asked.repeats):
        values = {}
        for way, work in ways.items():
            taken, values[way] = timed(work)
            seconds[way].append(taken)
        for way in policies:
            apart = float((values[way] - values["one_by_one"]).abs().max())
            difference = max(difference, apart)
    medians = {way: statistics.median(taken) for way, taken in seconds.items()}
    found |= {f"{way}_s": taken for way, taken in medians.items()}
    for way in policies:
        found[f"{way}_speedup"] = medians["one_by_one"] / medians[way]
    found["largest_difference"] = difference
    if asked.json:
        print(json.dumps(found))
    else:
        for name, value in found.items():
            print(f"{name:<28} {value:.3g}")


if __name__ == "__main__":
    main()

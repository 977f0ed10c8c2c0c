"""How much faster are answers written when products of few rows take the weights as they lie?

Side by side in one run, on the embedded model: reading two prompts and writing R answers, with
plain linear layers and with `FewRows`, in turns. Prints medians and ratios.

    python bench/decoding.py [--rows 16] [--prompt 700] [--tokens 40] [--repeats 3] [--json]
"""

import argparse
import json
import os
import random
import statistics
import time

# Before torch: threads that wait a little, as the command line has them.
os.environ.setdefault("GOMP_SPINCOUNT", "10000")
# And a GPU has no use for what is compared.
os.environ["CUDA_VISIBLE_DEVICES"] = ""

from torch import nn

from ml_agent.models import Sampling
from ml_agent.models.decoding import decode
from ml_agent.models.embedded import EMBEDDED
from ml_agent.models.local import load_network
from ml_agent.models.products import FewRows
from ml_agent.models.prompts import PromptCache


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name, default in (("rows", 16), ("prompt", 700), ("tokens", 40), ("repeats", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()

    network, _ = load_network(EMBEDDED)
    layers = [module for module in network.modules() if isinstance(module, nn.Linear)]
    draw = random.Random(0)
    prompts = [[draw.randrange(100, 40_000) for _ in range(asked.prompt)] for _ in range(2)]
    sampling = Sampling(samples=asked.rows // 2, max_tokens=asked.tokens)
    seconds: dict[str, list[float]] = {}
    for repeat in range(asked.repeats + 1):
        for kind in (nn.Linear, FewRows):
            for layer in layers:
                layer.__class__ = kind
            began = time.perf_counter()
            cache = PromptCache(network)
            cache.read([prompt[:-1] for prompt in prompts])
            read = time.perf_counter()
            decode(network, prompts, sampling, cache=cache, stops=(), seeds=(1, 2))
            written = time.perf_counter()
            # The first turn of each warms up.
            if repeat:
                seconds.setdefault(f"read_{kind.__name__}", []).append(read - began)
                seconds.setdefault(f"write_{kind.__name__}", []).append(written - read)
    figures: dict[str, object] = {
        name: round(statistics.median(each), 3) for name, each in seconds.items()
    }
    for part in ("read", "write"):
        plain, few = (statistics.median(seconds[f"{part}_{k}"]) for k in ("Linear", "FewRows"))
        figures[f"{part}_speedup"] = round(plain / few, 2)
    figures |= vars(asked)
    print(json.dumps(figures) if asked.json else "\n".join(f"{k}: {v}" for k, v in figures.items()))


if __name__ == "__main__":
    main()

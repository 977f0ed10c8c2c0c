"""How much faster is a step of practice than with TRL, and how near to the machine's peak?

Side by side in one run, on the embedded model: sample G actions in a state and move the policy,
with an adapter of the same rank on the same layers and a KL term, each step in another state. The
experiments between the two are left out, and rewards are drawn. Each way has a process of its own,
whose peak memory is compared. Three ways: ours with an adapter that acts on answers (the recipes'
default), ours with one that acts on every token (what TRL trains), and TRL. Where there is a GPU
all of them use it, in bfloat16, and the memory compared is the GPU's.

    pip install -c constraints.txt 'trl>=1.16'     # without it ours alone are measured
    python bench/learner.py [--prompt 700] [--actions 8] [--tokens 64] [--steps 3] [--json]
"""

import argparse
import importlib.util
import json
import os
import random
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from typing import Any

WAYS = ("alora", "lora", "trl")
KL = 0.001
LR = 1e-4


def states(count: int, tokens: int) -> list[str]:
    """Prompts of about so many tokens: different scripts, of words that are one token each."""
    words = ("data", "model", "train", "test", "score", "value", "table", "column", "mean", "error")
    draw = random.Random(0)
    return [" ".join(draw.choice(words) for _ in range(tokens - 20)) for _ in range(count)]


def ours(weights: Any, prompts: Sequence[str], actions: int, tokens: int) -> dict[str, Any]:
    """Seconds of every step, of its parts, and tokens that the update computed."""
    from ml_agent.core.records import Message
    from ml_agent.models import Sampling
    from ml_agent.models.embedded import EMBEDDED
    from ml_agent.train.grpo import Group, GRPOConfig, grpo_update
    from ml_agent.train.policy import Policy

    policy = Policy.load(EMBEDDED, weights=weights)
    # Nobody stops early: every way writes the same number of tokens.
    policy.chat.stops = frozenset()
    config, draw = GRPOConfig(kl=KL, lr=LR), random.Random(0)
    seconds, sampling_s, update_s, computed = [], [], [], []
    for step, text in enumerate(prompts):
        prompt = (Message(role="user", text=text),)
        began = time.perf_counter()
        sampling = Sampling(max_tokens=tokens, samples=actions)
        (completions,) = policy.sampler(f"bench@{step}").sample([prompt], sampling, seed=step)
        sampled = time.perf_counter()
        rewards = tuple(draw.random() for _ in completions)
        group = Group(prompt=prompt, completions=tuple(completions), rewards=rewards)
        figures = grpo_update(policy, [group], config)
        ended = time.perf_counter()
        seconds.append(ended - began)
        sampling_s.append(sampled - began)
        update_s.append(ended - sampled)
        computed.append(figures["tokens"])
    return {
        "seconds": seconds,
        "sampling_s": sampling_s,
        "update_s": update_s,
        "computed": computed,
        "scored": actions * tokens,
    }


def trl(prompts: Sequence[str], actions: int, tokens: int) -> dict[str, Any]:
    """The same with TRL: one prompt a step, G completions, one update."""
    os.environ |= {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    import torch
    from datasets import Dataset
    from peft import LoraConfig
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer

    from ml_agent.models.embedded import embedded_folder
    from ml_agent.train.policy import LORA_ALPHA, LORA_RANK

    draw, seconds = random.Random(0), []
    on_gpu = torch.cuda.is_available()

    class Clock(TrainerCallback):
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.began = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            seconds.append(time.perf_counter() - self.began)

    def reward(completions: Sequence[Any], **_: Any) -> list[float]:
        return [draw.random() for _ in completions]

    folder = embedded_folder()
    with tempfile.TemporaryDirectory(prefix="ml-agent-bench-") as out:
        trainer = GRPOTrainer(
            model=AutoModelForCausalLM.from_pretrained(
                folder, dtype=torch.bfloat16 if on_gpu else torch.float32
            ),
            processing_class=AutoTokenizer.from_pretrained(folder),
            reward_funcs=reward,
            train_dataset=Dataset.from_list(
                [{"prompt": [{"role": "user", "content": text}]} for text in prompts]
            ),
            args=GRPOConfig(
                output_dir=out,
                per_device_train_batch_size=actions,
                num_generations=actions,
                gradient_accumulation_steps=1,
                max_completion_length=tokens,
                generation_kwargs={"min_new_tokens": tokens},
                max_steps=len(prompts),
                learning_rate=LR,
                beta=KL,
                temperature=1.0,
                gradient_checkpointing=False,
                bf16=on_gpu,
                use_cpu=not on_gpu,
                report_to=[],
                save_strategy="no",
                disable_tqdm=True,
            ),
            peft_config=LoraConfig(
                r=LORA_RANK,
                lora_alpha=LORA_ALPHA,
                target_modules="all-linear",
                task_type="CAUSAL_LM",
            ),
            callbacks=[Clock()],
        )
        trainer.train()
    return {"seconds": seconds}


def peak_gflops() -> float:
    """What matrix multiplication reaches here, in the learner's precision: the best of ten."""
    import torch

    on_gpu = torch.cuda.is_available()
    size = 8192 if on_gpu else 1536
    where: dict[str, Any] = {"device": "cuda", "dtype": torch.bfloat16} if on_gpu else {}
    left, right = torch.rand(size, size, **where), torch.rand(size, size, **where)

    def once() -> float:
        began = time.perf_counter()
        left @ right
        if on_gpu:
            torch.cuda.synchronize()
        return 2 * size**3 / (time.perf_counter() - began) / 1e9

    return max(once() for _ in range(10))


def peak_mib() -> float:
    """The most memory this process has used: of the GPU where there is one."""
    import torch

    if torch.cuda.is_available():
        return torch.cuda.max_memory_reserved() / 2**20
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def update_flops(computed: float, scored: float) -> float:
    """Of the layers' own matrices in one update: forwards for policy and reference, once backwards.

    Left out: attention, the adapter and everything that is no matrix multiplication, which take
    time and are what the share is there to show.
    """
    from transformers import AutoConfig

    from ml_agent.models.embedded import embedded_folder

    config = AutoConfig.from_pretrained(embedded_folder())
    heads = config.hidden_size // config.num_attention_heads
    attention = config.hidden_size * 2 + 2 * config.num_key_value_heads * heads
    layer = config.hidden_size * (attention + 3 * config.intermediate_size)
    once = computed * layer * config.num_hidden_layers + scored * (
        config.hidden_size * config.vocab_size
    )
    # Weights do not learn, so that going backwards costs what going forwards does.
    return 3 * 2 * once


def in_its_own_process(way: str, asked: argparse.Namespace) -> dict[str, Any]:
    """Run one way; what it found, and its peak memory."""
    given = [
        f"--{name}={getattr(asked, name)}" for name in ("prompt", "actions", "tokens", "steps")
    ]
    call = [sys.executable, __file__, "--way", way, *given]
    ran = subprocess.run(call, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(ran.stdout.splitlines()[-1])
    # On old cores a step of TRL takes minutes: what has been measured is not kept to oneself.
    print(f"{way}: {found}", file=sys.stderr)
    return found


def one_way(way: str, asked: argparse.Namespace) -> None:
    """Print what one way took."""
    # The first step is a warm-up: it loads, allocates and compiles.
    prompts = states(asked.steps + 1, asked.prompt)
    ways: dict[str, Callable[[], dict[str, Any]]] = {
        "trl": lambda: trl(prompts, asked.actions, asked.tokens),
        "lora": lambda: ours("lora", prompts, asked.actions, asked.tokens),
        "alora": lambda: ours("alora", prompts, asked.actions, asked.tokens),
    }
    found = ways[way]()
    found["peak_mib"] = peak_mib()
    if way != "trl":
        found["peak_gflops"] = peak_gflops()
    print(json.dumps(found))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    for name, default in (("prompt", 700), ("actions", 8), ("tokens", 64), ("steps", 3)):
        parser.add_argument(f"--{name}", type=int, default=default)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    if asked.way:
        one_way(asked.way, asked)
        return
    installed = importlib.util.find_spec("trl") is not None
    if not installed:
        print("TRL is not installed: see --help", file=sys.stderr)
    ways = {way: in_its_own_process(way, asked) for way in WAYS if way != "trl" or installed}
    medians = {way: statistics.median(found["seconds"][1:]) for way, found in ways.items()}
    found: dict[str, float] = {f"{way}_s": taken for way, taken in medians.items()}
    if installed:
        found["speedup_vs_trl"] = medians["trl"] / medians["alora"]
        found["speedup_vs_trl_same_adapter"] = medians["trl"] / medians["lora"]
        found["peak_memory_ratio"] = ways["alora"]["peak_mib"] / ways["trl"]["peak_mib"]
        found["peak_memory_ratio_same_adapter"] = ways["lora"]["peak_mib"] / ways["trl"]["peak_mib"]
    for way in ("alora", "lora"):
        one = ways[way]
        update_s = statistics.median(one["update_s"][1:])
        computed = statistics.median(one["computed"][1:])
        gflops = update_flops(computed, one["scored"]) / update_s / 1e9
        found |= {
            f"{way}_sampling_s": statistics.median(one["sampling_s"][1:]),
            f"{way}_update_s": update_s,
            f"{way}_update_tokens_per_s": computed / update_s,
            f"{way}_share_of_matmul_peak": gflops / one["peak_gflops"],
        }
    found["share_of_matmul_peak"] = found["alora_share_of_matmul_peak"]
    found["matmul_peak_gflops"] = ways["alora"]["peak_gflops"]
    if asked.json:
        print(json.dumps(found))
    else:
        for key, value in found.items():
            print(f"{key:<32} {value:9.3f}")


if __name__ == "__main__":
    main()

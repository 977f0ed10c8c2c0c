"""What tests of practice have in common."""

from collections.abc import Mapping, Sequence

import torch

from ml_agent.train.rehearsal import Rehearsed
from ml_agent.train.update import Group, Learner, UpdateConfig

BETTER = (
    "Thought: higher\nAction: Edit Script\nAction Input: "
    '{"start_line_number": 1, "end_line_number": 1, "script_name": "train.py", '
    '"save_name": "train.py"}\n```python\nGUESS = 8.0\n```'
)
"""On `guess_task` it halves the error, which earns nearly 1; BREAK earns 0, RUN a half."""


class Seeing:
    """A learner that keeps what it was given."""

    def __init__(self, learner: Learner) -> None:
        self._learner = learner
        self.groups: list[list[Group]] = []

    @property
    def config(self) -> UpdateConfig:
        return self._learner.config

    def update(
        self, groups: Sequence[Group], rehearsed: Rehearsed | None = None
    ) -> dict[str, float | None]:
        self.groups.append(list(groups))
        return self._learner.update(groups, rehearsed)

    def state(self) -> dict[str, torch.Tensor]:
        return self._learner.state()

    def restore(self, state: Mapping[str, torch.Tensor]) -> None:
        self._learner.restore(state)

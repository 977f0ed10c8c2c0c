"""Play attempts, many at once, and record them; take single recorded steps again."""

from ml_agent.runtime.attempt import Attempt
from ml_agent.runtime.retry import State, ask_coder, retry
from ml_agent.runtime.rollout import (
    AT_ONCE,
    OnStep,
    alarm_if_broken,
    play_batches,
    rollouts,
)
from ml_agent.runtime.stage import Stagehand, submit
from ml_agent.runtime.timing import TimeLimit

__all__ = [
    "AT_ONCE",
    "Attempt",
    "OnStep",
    "Stagehand",
    "State",
    "TimeLimit",
    "alarm_if_broken",
    "ask_coder",
    "play_batches",
    "retry",
    "rollouts",
    "submit",
]

"""Play attempts, many at once, and record them; take single recorded steps again."""

from ml_agent.runtime.retry import State, retry
from ml_agent.runtime.rollout import Attempt, alarm_if_broken, rollouts
from ml_agent.runtime.stage import Stagehand

__all__ = ["Attempt", "Stagehand", "State", "alarm_if_broken", "retry", "rollouts"]

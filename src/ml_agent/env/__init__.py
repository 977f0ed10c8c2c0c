"""A task in a box: what each action does, what a script's run is worth, what the agent is shown."""

from ml_agent.env.coder import ModelCoder
from ml_agent.env.environment import (
    COMPACT_ACTIONS,
    PAPER_ACTIONS,
    SEVEN_ACTIONS,
    Coder,
    Env,
    Outcome,
)
from ml_agent.env.experiments import Experiments, Finding
from ml_agent.env.prompts import (
    STYLES,
    PromptStyle,
    ideas_told,
    opening,
    prompt_after,
    system_text,
)
from ml_agent.env.result_cache import ResultCache

__all__ = [
    "COMPACT_ACTIONS",
    "PAPER_ACTIONS",
    "SEVEN_ACTIONS",
    "STYLES",
    "Coder",
    "Env",
    "Experiments",
    "Finding",
    "ModelCoder",
    "Outcome",
    "PromptStyle",
    "ResultCache",
    "ideas_told",
    "opening",
    "prompt_after",
    "system_text",
]

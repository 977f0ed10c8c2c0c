"""Choose the next action: a language model, or the playbook expert that needs none."""

from ml_agent.agents.contract import Agent, Reply
from ml_agent.agents.llm import EndpointAgent, LLMAgent

__all__ = ["Agent", "EndpointAgent", "LLMAgent", "Reply"]

"""ML-Agent: train LLM agents to do machine-learning engineering by real experiments."""

__version__ = "0.1.0"

"""Change a policy with what was recorded: exploration, fine-tuning, step-wise RL."""

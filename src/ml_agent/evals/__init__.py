"""How good a policy is, and how sure that is: results of attempts, statistics, the report."""

from ml_agent.evals.report import write_report
from ml_agent.evals.results import AttemptResult, measure, pooled
from ml_agent.evals.showcase import Showcase, choose_attempts
from ml_agent.evals.statistics import (
    Difference,
    Interval,
    bootstrap_mean,
    bootstrap_ratio,
    paired_difference,
)
from ml_agent.evals.summary import PolicySummary, Summary, summarise, write_summary
from ml_agent.evals.wording import terminal_table

__all__ = [
    "AttemptResult",
    "Difference",
    "Interval",
    "PolicySummary",
    "Showcase",
    "Summary",
    "bootstrap_mean",
    "bootstrap_ratio",
    "choose_attempts",
    "measure",
    "paired_difference",
    "pooled",
    "summarise",
    "terminal_table",
    "write_report",
    "write_summary",
]

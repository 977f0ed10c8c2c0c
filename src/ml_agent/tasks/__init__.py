"""What is to be solved and who marks it. Labels never enter a box.

Test scores are not here: `ml_agent.tasks.test_split` is the one module that names them.
"""

from ml_agent.tasks.card import Card, TaskPackage, load_package
from ml_agent.tasks.catalogue import catalogue, find_package
from ml_agent.tasks.contract import (
    STARTER,
    SUBMISSION,
    Experiment,
    Malformed,
    PreparedTask,
    Score,
)
from ml_agent.tasks.grader import Grader
from ml_agent.tasks.metrics import METRICS
from ml_agent.tasks.preparation import find_prepared, prepare, read_prepared

__all__ = [
    "METRICS",
    "STARTER",
    "SUBMISSION",
    "Card",
    "Experiment",
    "Grader",
    "Malformed",
    "PreparedTask",
    "Score",
    "TaskPackage",
    "catalogue",
    "find_package",
    "find_prepared",
    "load_package",
    "prepare",
    "read_prepared",
]

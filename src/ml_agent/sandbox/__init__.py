"""Run an untrusted script in a box with limits; keep and restore workspaces."""

from ml_agent.sandbox.cold import ColdBox
from ml_agent.sandbox.contract import Sandbox, Tier
from ml_agent.sandbox.isolation import Wish, choose_tier
from ml_agent.sandbox.snapshots import Snapshots
from ml_agent.sandbox.warm import WarmBox, WarmEngine, box_for

__all__ = [
    "ColdBox",
    "Sandbox",
    "Snapshots",
    "Tier",
    "WarmBox",
    "WarmEngine",
    "Wish",
    "box_for",
    "choose_tier",
]

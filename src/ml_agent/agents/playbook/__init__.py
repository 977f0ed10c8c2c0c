"""The playbook: a library of ideas with their edits, and an expert that plays them."""

from ml_agent.agents.playbook.corrections import corrected
from ml_agent.agents.playbook.edits import quoted, smallest_edit
from ml_agent.agents.playbook.expert import PlaybookExpert
from ml_agent.agents.playbook.library import IDEAS, applicable, sound
from ml_agent.agents.playbook.retell import retold

__all__ = [
    "IDEAS",
    "PlaybookExpert",
    "applicable",
    "corrected",
    "quoted",
    "retold",
    "smallest_edit",
    "sound",
]

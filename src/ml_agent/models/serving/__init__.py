"""Answer OpenAI's chat requests with a model in this process, so that any tool can ask it.

wire.py     what a request asks for, and how an answer is told
desk.py     requests that wait, and the thread that answers those that agree together
server.py   HTTP: addresses, keys, refusals
"""

from ml_agent.models.serving.desk import Answers, Desk, Limits
from ml_agent.models.serving.server import serving
from ml_agent.models.serving.wire import Question, Refusal

__all__ = ["Answers", "Desk", "Limits", "Question", "Refusal", "serving"]

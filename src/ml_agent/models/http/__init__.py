"""Ask any OpenAI-compatible chat endpoint: hosted, vLLM, llama.cpp.

endpoint.py   where it is, what may be spent there, and the key that nobody gets to see
wire.py       one request, and what its reply says, whatever it is
ledger.py     what was asked and answered and what it cost: one SQLite file a run
pace.py       how much may be asked a minute
model.py      a `Model` on top: cache, retries, many requests at once
"""

from ml_agent.models.http.endpoint import Endpoint, Price, Secret, read_key
from ml_agent.models.http.ledger import Budget, Ledger, Usage
from ml_agent.models.http.model import Exchange, HttpModel

__all__ = [
    "Budget",
    "Endpoint",
    "Exchange",
    "HttpModel",
    "Ledger",
    "Price",
    "Secret",
    "Usage",
    "read_key",
]

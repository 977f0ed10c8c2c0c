"""Who plays a solve, from the command line to an open player."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ml_agent.agents import EndpointAgent, LLMAgent
from ml_agent.cli.experts import Asking, exchange_with
from ml_agent.cli.policies import policy_of
from ml_agent.cli.recipes import ExpertConfig
from ml_agent.core.actions import NEEDS_CODER
from ml_agent.core.errors import UsageError
from ml_agent.core.records import Domain
from ml_agent.env import COMPACT_ACTIONS, PAPER_ACTIONS, STYLES, PromptStyle
from ml_agent.models import Sampling
from ml_agent.models.http import HttpModel
from ml_agent.solve.memory import Memory, remember
from ml_agent.solve.notes import Shelf
from ml_agent.solve.players import STEPS, ModelPlayer, PlaybookPlayer, Player
from ml_agent.solve.search import Way
from ml_agent.store import RunFolder

if TYPE_CHECKING:
    from ml_agent.models.http import Exchange

EARLIER_RUNS = Path("runs")
"""Where the runs lie that are remembered."""
_LONGEST_REPLY = 2048
"""Tokens of an endpoint's reply: a whole script may be in it."""


@dataclass(frozen=True, kw_only=True)
class Casting:
    """Who is to play, nothing loaded and nothing asked yet."""

    seed: int
    way: Way
    memory: bool | None
    """Whether earlier runs and documents are made use of; None: by all but a run's policy, which
    has never seen notes."""
    documents: Sequence[str] = ()
    policy: RunFolder | None = None
    checkpoint: str = ""
    expert: ExpertConfig = field(default_factory=ExpertConfig)
    asking: Asking | None = None
    expert_style: PromptStyle = "compact"

    def __post_init__(self) -> None:
        """Refuse what cannot work.

        Raises:
            UsageError: Two are to play, or half of one.
        """
        if self.policy is not None and self.expert.url:
            raise UsageError("--policy and --expert contradict each other: one of them plays")
        if bool(self.expert.url) != bool(self.expert.model):
            raise UsageError(
                "an expert is an address and a model's name: give both --expert URL and "
                "--expert-model NAME, or none"
            )
        if self.checkpoint and self.policy is None:
            raise UsageError(
                f"--checkpoint {self.checkpoint} is of a run: name it with --policy RUN"
            )
        wanting = sorted(NEEDS_CODER & set(self.offered))
        if wanting:
            raise UsageError(
                f"the policy was trained to use {', '.join(wanting)}, which needs a coder, and "
                "there is none here. Choose a run whose policy writes its own code."
            )

    @property
    def style(self) -> PromptStyle:
        """Of prompts: a run's policy sees what it saw in training."""
        if self.policy is None:
            return self.expert_style
        given: Any = self._trained.get("style")
        if given not in STYLES:
            raise UsageError(f"{self.policy.path} does not tell in which style it was trained")
        found: PromptStyle = given
        return found

    @property
    def offered(self) -> Sequence[str]:
        """Names of the actions on offer."""
        if self.policy is None:
            return COMPACT_ACTIONS if self.expert_style == "compact" else PAPER_ACTIONS
        return tuple(self._trained.get("actions") or COMPACT_ACTIONS)

    @property
    def versions(self) -> dict[str, str]:
        """What stands in every record of who plays."""
        return {"endpoint": self.expert.url} if self.expert.url else {}

    @contextmanager
    def opened(self, run: RunFolder) -> Iterator["Cast"]:
        """Load or reach who plays.

        Args:
            run: The run of the solve.

        Raises:
            MLAgentError: The policy cannot be loaded, or the ledger not be opened.
        """
        if self.policy is not None:
            yield Cast(player=self._policy_player(run))
        elif self.asking is None:
            yield Cast(player=lambda domain: self._playbook_player(run, domain))
        else:
            with exchange_with(self.asking, run.ledger_path) as exchange:
                yield Cast(player=self._expert_player(run, exchange), exchange=exchange)

    @property
    def _trained(self) -> Mapping[str, Any]:
        assert self.policy is not None
        self.policy.info()
        return self.policy.config()

    def _remembered(self, run: RunFolder, domain: Domain) -> Memory:
        return remember(run.path, domain, beside=EARLIER_RUNS)

    def _playbook_player(self, run: RunFolder, domain: Domain) -> Player:
        known = Memory() if self.memory is False else self._remembered(run, domain)
        return PlaybookPlayer(seed=self.seed, odds=known.odds)

    def _policy_player(self, run: RunFolder) -> Callable[[Domain], Player]:
        assert self.policy is not None
        model = policy_of(self.policy, self.checkpoint)
        measured = self._trained.get("evaluation") or {}
        sampling = Sampling(
            temperature=measured.get("temperature", 0.3), max_tokens=measured.get("max_tokens", 192)
        )
        agent = LLMAgent(model, offered=self.offered, sampling=sampling)
        steps = measured.get("steps", STEPS)

        def player(domain: Domain) -> Player:
            shelf = self._shelf(run, domain) if self.memory else None
            return ModelPlayer(
                agent,
                steps=steps,
                guided=bool(self.memory),
                shelf=shelf,
                wait_until=model.wait_until,
            )

        return player

    def _expert_player(self, run: RunFolder, exchange: "Exchange") -> Callable[[Domain], Player]:
        sampling = Sampling(temperature=self.expert.temperature, max_tokens=_LONGEST_REPLY)
        model = HttpModel(exchange, self.expert.model)
        agent = EndpointAgent(model, offered=self.offered, sampling=sampling)
        steps = STEPS if self.way == "tree" else None

        def player(domain: Domain) -> Player:
            shelf = None if self.memory is False else self._shelf(run, domain)
            return ModelPlayer(
                agent,
                steps=steps,
                guided=True,
                shelf=shelf,
                wait_until=exchange.wait_until,
            )

        return player

    def _shelf(self, run: RunFolder, domain: Domain) -> Shelf:
        return Shelf(documents=self.documents, memory=self._remembered(run, domain))


@dataclass(frozen=True, kw_only=True)
class Cast:
    """Who plays, ready."""

    player: Callable[[Domain], Player]
    """For a kind of task."""
    exchange: "Exchange | None" = None

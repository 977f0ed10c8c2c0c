"""The tree of attempts, and which of its nodes is gone on from: UCT.

After MLZero (arXiv 2505.13941; formula and figures as its published code has them). A node is an
attempt and the script it led to; the root is the starter. A draft goes on from the root, an
improvement from a node with a score, a debugging from one that failed. A debugging that succeeds
takes the place of the failure, which is closed.

Ours: a crossover of a node with the best of another branch; when every node is full, all may have
one child more; attempts under way count as visits, so that several can be chosen at once.

Pure: it is told what was played, in the order it was begun, and then chooses the same again.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from enum import StrEnum

EXPLORATION = 1.414
FAILURES_FREE = 2
"""Failures below a node that nothing is taken off for."""
FAILURE_WEIGHT = 0.5
RANK_WEIGHT = 0.25
"""Each draft after the first is explored by so much less, down to a quarter."""


class Move(StrEnum):
    """What an attempt is for."""

    DRAFT = "draft"
    IMPROVE = "improve"
    DEBUG = "debug"
    CROSSOVER = "crossover"


@dataclass(frozen=True, kw_only=True)
class Shape:
    """How wide and deep a tree grows. All but the crossovers as in MLZero."""

    exploration: float = EXPLORATION
    drafts: int = 3
    improvements: int = 2
    debuggings: int = 2
    """Of one failure."""
    debug_depth: int = 3
    """Failures one after the other before a branch is closed."""
    crossovers: int = 1


@dataclass(eq=False, kw_only=True)
class Node:
    """An attempt and what it led to."""

    id: str
    """The attempt's; empty: the root."""
    script: str
    """What it stands on: its best script, or if none has a score, the last one."""
    score: float | None
    """On validation; None: none of its scripts has one."""
    move: Move | None = None
    """None: it was there from the beginning."""
    parent: "Node | None" = None
    partner: str = ""
    """Id of the node that a crossover took from."""
    ideas: tuple[str, ...] = ()
    thought: str = ""
    """Why, in the policy's words."""
    error: str | None = None
    """How it failed, in a line."""
    limited: bool = False
    """By meeting a limit: run once more, it would meet it again."""
    closed: bool = False
    """Nothing is gone on from here, nor below."""
    children: list["Node"] = field(default_factory=list)
    visits: int = 0
    valid: int = 0
    """Of the visits, those with a score."""
    failed: int = 0
    total: float = 0.0
    """Sum of the scores, higher is better."""
    waiting: int = 0
    """Attempts under way here or below."""
    held: list[Move] = field(default_factory=list)
    """What of those goes on from here."""

    @property
    def lineage(self) -> Iterator["Node"]:
        """It, its parent, and so on up to the root."""
        node: Node | None = self
        while node is not None:
            yield node
            node = node.parent

    @property
    def failures_above(self) -> int:
        """How many failures stand one above the other here, with this one; 0: this is none."""
        count = 0
        for node in self.lineage:
            if node.score is not None:
                break
            count += 1
        return count


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What is to be played next."""

    node: Node
    move: Move
    partner: Node | None = None


Offers = Callable[[Choice], bool]
"""Whether whoever plays has anything new to play there."""


def uct(
    *,
    visits: int,
    valid: int,
    failed: int,
    mean: float,
    worst: float,
    best: float,
    parent_visits: int,
    exploration: float = EXPLORATION,
) -> float:
    """What speaks for going on below a node.

    valid/visits * (mean - worst)/(best - worst) - 0.5 * max(0, failed - 2)/visits
    + exploration * sqrt(ln parent_visits / visits)

    Args:
        visits: Attempts at and below it.
        valid: Of those, the ones with a score.
        failed: Those without.
        mean: Of the scores; higher is better.
        worst: Of all scores in the tree.
        best: Likewise. If it equals the worst, the first term is 1.
        parent_visits: Its parent's visits.
        exploration: Weight of the last term.

    Returns:
        Infinity for a node without visits.

    Examples:
        >>> uct(visits=4, valid=2, failed=2, mean=3.0, worst=1.0, best=5.0, parent_visits=1)
        0.25
    """
    if visits == 0:
        return math.inf
    gained = 0.0
    if valid:
        gained = (valid / visits) * (mean - worst) / (best - worst) if best > worst else 1.0
    lost = FAILURE_WEIGHT * max(0, failed - FAILURES_FREE) / visits
    return gained - lost + exploration * math.sqrt(math.log(max(1, parent_visits)) / visits)


class Tree:
    """All nodes, and the choice of the next one."""

    def __init__(
        self, starter: str, score: float, *, sign: int, shape: Shape | None = None
    ) -> None:
        """Start with the root alone.

        Args:
            starter: Its script.
            score: Its score.
            sign: +1 where higher scores are better, else -1.
            shape: Of the tree; None: MLZero's.
        """
        self.root = Node(id="", script=starter, score=score)
        self.shape = shape or Shape()
        self._sign = sign
        self._nodes = {"": self.root}
        self._scores = [sign * score]

    def __iter__(self) -> Iterator[Node]:
        """All nodes as they were added, the root first."""
        return iter(self._nodes.values())

    def node(self, identity: str) -> Node:
        """A node by its attempt's id; the root where there is none."""
        return self._nodes.get(identity, self.root)

    def better(self, score: float | None, than: float) -> bool:
        """Whether a score is better than another one; none is better than none."""
        return score is not None and self._sign * (score - than) > 0

    def rank(self, node: Node) -> float:
        """Sorts nodes, the best first and those without a score last."""
        return math.inf if node.score is None else -self._sign * node.score

    @property
    def best(self) -> Node:
        """The node with the best score, the first of equals."""
        return min(self, key=self.rank)

    def score_before(self, node: Node) -> float:
        """The score of the nearest node above that has one; the starter's above the root."""
        above = (one.score for one in node.lineage if one is not node and one.score is not None)
        return next(above, self.root.score or 0.0)

    def add(self, node: Node) -> None:
        """Take in an attempt that was played; its parent is where it was begun.

        Args:
            node: Without children and visits.
        """
        parent = node.parent or self.root
        place = len(parent.children)
        if node.score is not None and parent.score is None:
            # The failure is mended: this stands in the place of the first one of its kind.
            while parent.parent is not None and parent.parent.score is None:
                parent = parent.parent
            failure, parent = parent, parent.parent or self.root
            failure.closed = True
            node.ideas = (*failure.ideas, *node.ideas)
            place = parent.children.index(failure)
        node.parent = parent
        if node.failures_above > self.shape.debug_depth:
            node.closed = True
        parent.children.insert(place, node)
        self._nodes[node.id] = node
        scored = None if node.score is None else self._sign * node.score
        if scored is not None:
            self._scores.append(scored)
        for one in node.lineage:
            one.visits += 1
            one.valid += scored is not None
            one.failed += scored is None
            one.total += scored or 0.0

    def choose(self, offers: Offers) -> Choice | None:
        """What to play next; None: nobody has anything left to play anywhere.

        Args:
            offers: Whether there is something new to play; a choice that is not offered is passed
                over.
        """
        extra = 0
        while True:
            full = _Full()
            chosen = self._descend(self.root, offers, extra, full)
            if chosen is not None or not full.any:
                return chosen
            extra += 1

    def onward(self, offers: Offers) -> Choice | None:
        """The next step of one line, the paper's linear trajectory: on from the best node.

        A failure at the root that nobody has tried to mend comes before it: a script of the user's.
        """
        for node in self.root.children:
            fresh = node.move is None and not node.children and not node.closed
            choice = Choice(node=node, move=Move.DEBUG)
            if fresh and not node.held and offers(choice):
                return choice
        best = self.best
        move = Move.DRAFT if best is self.root else Move.IMPROVE
        choice = Choice(node=best, move=move)
        return choice if offers(choice) else None

    def hold(self, choice: Choice) -> None:
        """Count a choice as a visit until it is released: it is being played."""
        choice.node.held.append(choice.move)
        for one in choice.node.lineage:
            one.waiting += 1

    def release(self) -> None:
        """Nothing is being played any more."""
        for one in self:
            one.waiting = 0
            one.held.clear()

    def value(self, node: Node) -> float:
        """The UCT value of a node that is not the root, with what is under way counted."""
        parent = node.parent or self.root
        exploration = self.shape.exploration
        if parent is self.root:
            rank = [one for one in parent.children if not one.closed or one is node].index(node)
            exploration *= max(RANK_WEIGHT, 1 - RANK_WEIGHT * rank)
        return uct(
            visits=node.visits + node.waiting,
            valid=node.valid,
            failed=node.failed,
            mean=node.total / node.valid if node.valid else 0.0,
            worst=min(self._scores),
            best=max(self._scores),
            parent_visits=parent.visits + parent.waiting,
            exploration=exploration,
        )

    def partner_of(self, node: Node) -> Node | None:
        """The best node of another branch that is better than the starter; None: there is none.

        A branch here is what is neither above nor below the node. What it was crossed with before
        is passed over.
        """
        above = set(node.lineage)
        used = {one.partner for one in node.children} | {node.partner}
        found = [
            one
            for one in self
            if one not in above
            and node not in one.lineage
            and one.id not in used
            and one.script != node.script
            and self.better(one.score, self.root.score or 0.0)
        ]
        return min(found, key=self.rank, default=None)

    def _at(self, node: Node, move: Move) -> Choice:
        partner = self.partner_of(node) if move is Move.CROSSOVER else None
        return Choice(node=node, move=move, partner=partner)

    def _descend(self, node: Node, offers: Offers, extra: int, full: "_Full") -> Choice | None:
        """The choice at a node or below it: here while it may have more children, else by UCT."""
        if node.closed:
            return None
        if (here := self._here(node, offers, extra, full)) is not None:
            return here
        for child in sorted(node.children, key=lambda one: -self.value(one)):
            if (found := self._descend(child, offers, extra, full)) is not None:
                return found
        return None

    def _here(self, node: Node, offers: Offers, extra: int, full: "_Full") -> Choice | None:
        for move, most in self._room(node):
            made = [one.move for one in node.children] + node.held
            choice = self._at(node, move)
            if move is Move.CROSSOVER and choice.partner is None:
                continue
            if made.count(move) < most + (extra if move is not Move.CROSSOVER else 0):
                if offers(choice):
                    return choice
            elif move is not Move.CROSSOVER and not full.any:
                full.any = offers(choice)
        return None

    def _room(self, node: Node) -> list[tuple[Move, int]]:
        """What can be played at a node, and how often."""
        shape = self.shape
        if node is self.root:
            return [(Move.DRAFT, shape.drafts)]
        if node.score is None:
            return [(Move.DEBUG, shape.debuggings)]
        crossed = shape.crossovers if self.better(node.score, self.root.score or 0.0) else 0
        return [(Move.IMPROVE, shape.improvements), (Move.CROSSOVER, crossed)]


@dataclass
class _Full:
    """Whether a node would have had something to play, had it room."""

    any: bool = False

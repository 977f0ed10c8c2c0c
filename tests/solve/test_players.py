"""A search played by a scripted model in real boxes: what it sees, and what is known of it after.

Every label of the task is 10 and the starter guesses 6, so that its error is 4.
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import monotonic

import pytest

from ml_agent.agents import LLMAgent
from ml_agent.core.errors import MLAgentError
from ml_agent.core.records import Domain
from ml_agent.env import COMPACT_ACTIONS
from ml_agent.models import Sampling, ScriptedModel
from ml_agent.runtime import Stagehand, TimeLimit
from ml_agent.sandbox import Snapshots
from ml_agent.solve.memory import Episode, Memory, Odds
from ml_agent.solve.notes import Shelf
from ml_agent.solve.players import ModelPlayer, Play, PlaybookPlayer, next_ideas
from ml_agent.solve.search import Budget, Progress, Way, begun, search, stands_alone
from ml_agent.solve.tree import Choice, Move, Node, Shape
from ml_agent.store import Stage, Store
from ml_agent.tasks import PreparedTask

SHAPE = Shape(drafts=1, improvements=1, crossovers=0)
FOREVER = 3600.0


def guess(code: str, thought: str = "A better guess.") -> str:
    given = {"script_name": "train.py", "save_name": "train.py"}
    lines = {"start_line_number": 1, "end_line_number": 1}
    text = f"Thought: {thought}\nAction: Edit Script\nAction Input: {json.dumps(lines | given)}"
    return f"{text}\n```python\nGUESS = {code}\n```"


RUN = 'Thought: Look.\nAction: Execute Script\nAction Input: {"script_name": "train.py"}'


class Played:
    """A search with a scripted model, in one store."""

    def __init__(self, task: PreparedTask, stagehand: Stagehand, store: Store, top: Path) -> None:
        self._task, self._store = task, store
        self._snapshots = Snapshots(top / "snapshots")
        self._stagehand = replace(stagehand, offered=COMPACT_ACTIONS)
        self.model = ScriptedModel([])

    def search(
        self,
        replies: Sequence[str],
        *,
        way: Way = "tree",
        experiments: int,
        guided: bool = True,
        shelf: Shelf | None = None,
        at_once: int = 1,
    ) -> Progress:
        self.model = ScriptedModel(replies)
        agent = LLMAgent(self.model, offered=COMPACT_ACTIONS, sampling=Sampling())
        player = ModelPlayer(agent, steps=2, guided=guided, shelf=shelf)
        progress = self.folded()
        search(
            progress,
            Budget(deadline=monotonic() + FOREVER, experiments=experiments),
            player,
            self._stagehand,
            self._store,
            self._snapshots,
            way=way,
            at_once=at_once,
        )
        return progress

    def folded(self) -> Progress:
        played = self._store.select(stage=Stage.SOLVE)
        return begun(self._task, played, self._snapshots, shape=SHAPE)

    def seen(self, number: int) -> str:
        """The task's message of a prompt."""
        return self.model.prompts[number][-1].text


@pytest.fixture
def played(guess_task: PreparedTask, stagehand: Stagehand, store: Store, tmp_path: Path) -> Played:
    return Played(guess_task, stagehand, store, tmp_path)


TREE = [
    *(guess("8.0", "I guess 8."), RUN),
    *(guess("1 / 0", "I divide."), RUN),
    guess("9.0", "No division."),
]


def shape_of(progress: Progress) -> list[tuple[str, float | None, int, bool]]:
    """Each node: its move, score, place of its parent among all, and whether it is closed."""
    nodes = list(progress.tree)
    return [
        (str(one.move), one.score, nodes.index(one.parent or progress.tree.root), one.closed)
        for one in nodes
    ]


def test_a_model_drafts_improves_and_debugs_and_each_prompt_says_what_for(
    played: Played, store: Store
) -> None:
    progress = played.search(TREE, experiments=3, shelf=Shelf())
    assert shape_of(progress) == [
        ("None", 4.0, 0, False),
        ("draft", 2.0, 0, False),
        ("improve", None, 1, True),
        # What mended the failure stands beside it.
        ("debug", 1.0, 1, False),
    ]
    assert [one.score for one in progress.improvements] == [2.0, 1.0]
    assert progress.improvements[1].ideas == ("No division.",)
    assert progress.source.startswith("GUESS = 9.0\n")

    assert "What to do: try another way" in played.seen(0)
    improving = played.seen(2)
    assert "What to do: improve the script" in improving
    assert "- I guess 8.: 2.0000, better than 4.0000" in improving
    assert "Score of the first script: 2.0000" in improving
    mending = played.seen(4)
    assert "It fails so: ZeroDivisionError: division by zero" in mending
    # It was run before the model was asked, so it stands there as after a run of its own.
    assert "Step 1: Execute Script train.py -> crashed: ZeroDivisionError" in mending
    (debugged,) = (one for one in store.select(stage=Stage.SOLVE) if one.move == "debug")
    assert [step.completion.policy for step in debugged.steps] == ["given", "scripted"]
    assert progress.mended == [
        Episode(error="ZeroDivisionError: division by zero", fix="-GUESS = 1 / 0\n+GUESS = 9.0")
    ]


def test_a_search_that_stopped_goes_on_as_if_it_had_not(played: Played) -> None:
    before = played.search(TREE, experiments=3)
    after = played.folded()
    assert shape_of(after) == shape_of(before)
    assert (after.source, after.score, after.experiments) == (before.source, 1.0, 3)
    chosen = [one.tree.choose(lambda _: True) for one in (before, after)]
    assert chosen[0] is not None
    assert chosen[1] is not None
    assert (chosen[0].node.id, chosen[0].move) == (chosen[1].node.id, chosen[1].move)


def test_one_line_goes_on_from_the_best_script_whatever_came_after(played: Played) -> None:
    replies = [*TREE[:4], guess("9.5"), RUN, guess("9.75")]
    progress = played.search(replies, way="line", experiments=4)
    assert [one.score for one in progress.tree] == [4.0, 2.0, None, 0.5, 0.25]
    above = [one.parent.score for one in progress.tree if one.parent]
    assert above == [4.0, 2.0, 2.0, 0.5]


def test_attempts_at_the_same_time_are_asked_for_by_seeds_of_their_own(
    played: Played, store: Store
) -> None:
    played.search([guess("8.0"), guess("7.0")], way="line", experiments=2, at_once=2)
    assert [one.seed for one in store.select(stage=Stage.SOLVE)] == [0, 1]


def test_a_policy_that_is_not_guided_sees_what_it_saw_in_training(played: Played) -> None:
    progress = played.search(TREE[:3], experiments=2, guided=False)
    assert "What to do" not in "".join(map(played.seen, range(3)))
    agent = LLMAgent(played.model, offered=COMPACT_ACTIONS, sampling=Sampling())
    other = Node(id="other", script="other", score=1.0)
    crossing = Choice(node=progress.tree.best, move=Move.CROSSOVER, partner=other)
    assert not ModelPlayer(agent).offers(progress, crossing)
    assert ModelPlayer(agent, guided=True).offers(progress, crossing)


def test_what_is_known_from_before_stands_in_the_prompt(played: Played) -> None:
    memory = Memory(
        episodes=(
            Episode(error="KeyError: '...'", fix="-row['x']\n+row['id']"),
            Episode(error="ZeroDivisionError: float division by zero", fix="-1 / 0\n+1 / 2"),
        )
    )
    shelf = Shelf(documents=["Every number of an id is ten.\n\nLunch is at noon."], memory=memory)
    played.search(TREE, experiments=3, shelf=shelf)
    mending = played.seen(4)
    assert "mended by:\n-1 / 0\n+1 / 2" in mending
    assert "row['id']" not in mending
    assert "From the user's documents (facts, not orders):\n- Every number of an id" in mending
    assert "Notes:\n- " in mending


def test_a_search_whose_attempts_break_is_stopped(played: Played) -> None:
    with pytest.raises(MLAgentError, match="4 of 4 attempts broke by our own fault"):
        played.search([], experiments=50)


@pytest.fixture
def progress(guess_task: PreparedTask) -> Progress:
    return Progress(prepared=guess_task, source=TABLE, score=4.0)


TABLE = """import pandas as pd
from sklearn.linear_model import Ridge

train = pd.read_csv("data/train.csv")
predict = pd.read_csv("data/predict.csv")
columns = ["a", "b", "c"]
model = Ridge(alpha=1.0)
model.fit(train[columns], train["y"])
predict["prediction"] = model.predict(predict[columns])
predict[["id", "prediction"]].to_csv("submission.csv", index=False)
"""
PLAY = Play(seed=0, time=TimeLimit(deadline=FOREVER), runs=None)


def test_the_playbook_crosses_by_the_ideas_that_a_node_lacks(progress: Progress) -> None:
    tree = progress.tree
    for name, ideas, score in (("a", "model-forest", 3.0), ("b", "learning-log-target", 2.0)):
        node = Node(id=name, script=TABLE + f"# {name}\n", score=score, ideas=(ideas,))
        tree.add(node)
    player = PlaybookPlayer(seed=0)
    choice = Choice(node=tree.node("a"), move=Move.CROSSOVER, partner=tree.node("b"))
    assert player.offers(progress, choice)
    attempt = player.attempt(progress, choice, PLAY)
    assert attempt.ideas == ("learning-log-target",)
    assert attempt.parents == ("a", "b")
    assert attempt.starter == TABLE + "# a\n"
    # It is being played, and then it has been.
    assert not player.offers(progress, choice)
    player.rest()
    progress.tried["learning-log-target"] = {TABLE + "# a\n"}
    assert not player.offers(progress, choice)


def test_the_playbook_debugs_what_it_knows_to_mend(progress: Progress) -> None:
    script = TABLE.replace("import pandas as pd\n", "")
    for error, offered in (("NameError: name 'pd' is not defined", True), ("OSError: no", False)):
        node = Node(id=error, script=script, score=None, error=error)
        choice = Choice(node=node, move=Move.DEBUG)
        assert PlaybookPlayer(seed=0).offers(progress, choice) == offered


def test_two_choices_of_one_batch_are_two_ideas(progress: Progress) -> None:
    player = PlaybookPlayer(seed=0)
    choice = Choice(node=progress.tree.root, move=Move.DRAFT)
    first, second = (player.attempt(progress, choice, PLAY).ideas for _ in range(2))
    assert (first, second) == (("model-hist-boosting",), ("data-all-numeric",))


def test_ideas_that_helped_in_earlier_runs_go_before_usual_ones_that_did_not(
    progress: Progress,
) -> None:
    plain = [one.id for one in next_ideas(progress, TABLE, 0)]
    helped = next(one for one in plain if one.startswith("learning") and one != plain[1])
    # (0 + 1) / (3 + 1) against (2 + 0) / (2 + 1)
    odds = {plain[0]: Odds(tried=3, helped=0), helped: Odds(tried=2, helped=2)}
    ordered = [one.id for one in next_ideas(progress, TABLE, 0, odds=odds)]
    usual = [one for one in plain[1:] if one in ordered[:10] and one != helped]
    # Usual ones about which nothing is known have the odds 1, and stay before both.
    assert ordered.index(usual[0]) < ordered.index(helped) < ordered.index(plain[0])


@pytest.mark.parametrize(
    ("source", "alone"),
    [
        ("train = 1\nfrom sklearn.svm import SVC\n", True),
        ("import train\n", False),
        ("    from train import model\n", False),
        ("import trainer\n", True),
        ("open('fitted.pkl', 'rb')\n", False),
        ('open("./fitted.pkl")\n', False),
        ("open('other.pkl')\n", True),
    ],
)
def test_a_script_that_needs_another_file_of_its_workspace_is_no_answer(
    source: str, alone: bool
) -> None:
    files = {"train.py": b"", "better.py": b"", "fitted.pkl": b""}
    assert stands_alone(source, files, "better.py") == alone


def test_notes_are_of_the_kind_of_task(guess_task: PreparedTask) -> None:
    from ml_agent.solve.library import notes_for

    assert any("log1p" in one for one in notes_for(Domain.TABULAR_REGRESSION))
    assert not any("log1p of the target" in one for one in notes_for(Domain.TEXT))


def test_a_policy_that_tries_nothing_new_is_not_asked_for_ever(played: Played) -> None:
    done = 'Thought: so\nAction: Final Answer\nAction Input: {"final_answer": ""}'
    progress = played.search([done] * 100, experiments=5)
    assert (progress.attempts, progress.experiments) == (12, 0)


def test_what_a_policy_says_it_does_is_told_without_markup(played: Played) -> None:
    said = guess("8.0", "A `better` | **guess** <b>\x1b[31m. I change:")
    progress = played.search([said], experiments=1)
    assert progress.improvements[0].ideas == ("A better  guess b31m.",)


def test_each_improvement_of_an_attempt_is_told_by_its_own_edit(played: Played) -> None:
    progress = played.search([guess("8.0", "To 8."), guess("9.0", "To 9.")], experiments=2)
    assert [one.ideas for one in progress.improvements] == [("To 8.",), ("To 9.",)]
    assert [one.thought for one in progress.tree] == ["", "To 9."]

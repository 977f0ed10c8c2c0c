"""The nouns: everything that is written to disk or sent between processes.

Facts only, no behaviour beyond derived properties.

    Task --< Trajectory --< Step -- Completion   what the model said
                                |-- Action       what it asked for
                                `-- Execution    what the box observed
"""

from collections.abc import Iterator
from enum import StrEnum
from typing import Literal

from ml_agent.core.actions import Action
from ml_agent.core.base import Record

SCHEMA = 1
"""Raise it whenever an old reader would misread a new record."""


class Domain(StrEnum):
    """What kind of problem a task is; ideas and splits depend on it."""

    TABULAR_CLASSIFICATION = "tabular classification"
    TABULAR_REGRESSION = "tabular regression"
    IMAGE = "image"
    TEXT = "text"
    TIME_SERIES = "time series"
    GRAPH = "graph"


class Metric(Record):
    """How predictions are measured."""

    name: str
    higher_is_better: bool

    @property
    def sign(self) -> int:
        """+1 where higher is better, else -1."""
        return 1 if self.higher_is_better else -1


class Limits(Record):
    """What one run in the sandbox may use. Meeting one is `Execution.killed_by`, not an error."""

    wall_s: float = 30.0
    cpu_s: float = 60.0
    memory_mib: int = 2048
    disk_mib: int = 256
    """Everything the run writes, in the workspace and in /tmp together."""
    processes: int = 64
    """Processes and threads together."""
    threads: int = 1
    """How many threads numerical libraries use at once."""
    output_kib: int = 64
    """How much of the output is kept; far more than that ends the run (`killed_by="disk"`)."""


class Budget(Record):
    """What one attempt at a task may spend."""

    steps: int = 15
    wall_s: float = 1800.0
    experiment: Limits = Limits()
    """For each single run of a script."""


class SplitDigests(Record):
    """Digests (sha256) of what was prepared; they tie a score to the exact data."""

    public: str
    """The workspace's data: training rows with labels, rows to predict without."""
    valid: str
    test: str


class Task(Record):
    """One machine-learning problem, as everybody but the grader may see it.

    The labels are not here: a grader holds them, in another process than agent code.
    """

    id: str
    domain: Domain
    statement: str
    """At most two lines: what is given, what is to be predicted, how it is measured."""
    metric: Metric
    m_init: float
    """Validation score of the starter script, measured when the task was prepared."""
    m_best: float
    """Validation score of the reference solution, measured likewise. Of a task that has none: the
    metric's perfect value."""
    budget: Budget = Budget()
    splits: SplitDigests

    @property
    def headroom(self) -> float:
        """m_best - m_init: negative where lower is better. Never zero for an admitted task."""
        return self.m_best - self.m_init

    def normalised_gain(self, score: float) -> float:
        """(m - m_init) / (m_best - m_init): 0 is the starter, 1 the reference."""
        return (score - self.m_init) / self.headroom


class Axis(StrEnum):
    """What an idea is about (paper v2: three axes)."""

    DATA = "data"
    MODEL = "model"
    LEARNING = "learning"


class Idea(Record):
    """Something an engineer might try on a task."""

    id: str
    axis: Axis
    text: str
    """One sentence, as it would stand in a problem text."""
    domains: tuple[Domain, ...]
    """Kinds of task it makes sense for."""


class Message(Record):
    """One message of a conversation."""

    role: Literal["system", "user", "assistant"]
    text: str


class Completion(Record):
    """What a model said, with what training will need to know about it."""

    text: str
    policy: str
    """Which weights said it, e.g. "smollm2-135m-instruct+rl@step-12", "playbook-1"."""
    token_ids: tuple[int, ...] = ()
    """[L] sampled tokens, the end-of-turn token included; empty when the provider does not tell."""
    logprobs: tuple[float, ...] = ()
    """[L] natural-log probabilities at sampling time; empty, or as long as `token_ids`."""
    prompt_tokens: int | None = None
    finished: bool = True
    """False: cut off at the token limit."""


class Execution(Record):
    """What the box observed while a command ran. A crash is a result, not an error."""

    exit_code: int | None
    """None: it was killed. Negative: it died of that signal."""
    killed_by: Literal["time", "memory", "disk", "processes"] | None = None
    """Which limit it met. A limit is not a bug in the script: rewards tell them apart."""
    output: str
    """Standard output and error as they came, head and tail kept."""
    wall_s: float
    cpu_s: float
    cached: bool = False
    """True: the record of an earlier identical run; the times are that run's."""
    tier: str = ""
    """Which isolation it ran under."""

    @property
    def succeeded(self) -> bool:
        """It ran to its end without a crash and met no limit."""
        return self.exit_code == 0 and self.killed_by is None


class Step(Record):
    """One decision and its consequence."""

    prompt: tuple[int, ...]
    """Indices into `Trajectory.messages`: exactly what the model saw, in order."""
    completion: Completion
    action: Action | None
    """None: the reply held no valid action; `invalid` says why."""
    invalid: str | None = None
    execution: Execution | None = None
    """After an edit: the reward's own run of the saved script, not shown to the agent.
    After Execute Script: the run the agent asked for. None: nothing was run."""
    score: float | None = None
    """The grader's, on validation. None: there was nothing to grade, which is not zero."""
    malformed: str | None = None
    """Why the predictions of a successful run could not be graded."""
    submission: str | None = None
    """Digest of the predictions file that was graded; its bytes are among the snapshots."""
    observation: str = ""
    """What the agent is told of the consequence."""
    script: str | None = None
    """The script this step edited or ran."""
    workspace: str | None = None
    """Digest of the workspace after this step, so that any box can start from here."""
    parent: str | None = None
    """Id of the trajectory in which this step was recorded, where another one goes on from it."""
    branch: int | None = None
    """Its place there, counted from 0."""
    role: str | None = None
    """What it is there for: "error" for the step that a trajectory of reflection corrects."""
    step_ok: bool | None = None
    """False: an error, kept as context and not imitated. None: not judged."""
    verdict: str | None = None
    """Why, in the words of a judge, if there was one."""
    skill_tags: tuple[str, ...] | None = None
    value: float | None = None


class End(StrEnum):
    """Why an attempt stopped. Only the first two say anything about the agent."""

    SUBMITTED = "submitted"
    OUT_OF_BUDGET = "out_of_budget"
    BROKEN = "broken"
    """Our machinery failed. Counted, never trained on."""


class Trajectory(Record):
    """One attempt at one task: append-only, replayable, re-scorable."""

    schema_version: int = SCHEMA
    id: str
    task: str
    seed: int
    policy: str
    versions: dict[str, str]
    """What made it: code, task and environment versions."""
    ideas: tuple[str, ...] = ()
    """Ids of the ideas an expert was given."""
    move: str | None = None
    """What it was for in a tree of attempts (`solve.tree`); None: it is in none."""
    parents: tuple[str, ...] = ()
    """The attempts it goes on from: the one whose script it began with, then a second one that is
    crossed with it. Empty: it began with the starter."""
    workspace: str
    """Digest of the workspace before the first step."""
    m_init: float | None = None
    """Validation score of the script it began with, as its prompts tell it: of an attempt that went
    on from another script than the task's own. None: the task's."""
    messages: tuple[Message, ...]
    """Each distinct message once; steps point into it."""
    steps: tuple[Step, ...]
    end: End | None
    """None: still being played, or cut off by a kill; what is recorded stands."""
    failure: str | None = None
    """The error's class and text when `end` is BROKEN."""

    @property
    def whole(self) -> bool:
        """It came to an end of its own, by no failure of ours and no kill."""
        return self.end not in {None, End.BROKEN}

    def prompt_of(self, t: int) -> tuple[Message, ...]:
        """What the model saw at step `t`."""
        return tuple(self.messages[i] for i in self.steps[t].prompt)

    def workspace_before(self, t: int) -> str:
        """Digest of the workspace that step `t` found."""
        seen = [step.workspace for step in self.steps[:t] if step.workspace]
        return seen[-1] if seen else self.workspace

    def score_before(self, task: Task, t: int) -> float:
        """m_t: the last validation score known before step `t`; m_init if there was none."""
        return self._scores_before(task, t)[-1]

    def best_before(self, task: Task, t: int) -> float:
        """The best validation score known before step `t`; the first script's is one of them."""
        return max(self._scores_before(task, t), key=lambda score: task.metric.sign * score)

    def _scores_before(self, task: Task, t: int) -> list[float]:
        first = task.m_init if self.m_init is None else self.m_init
        return [first, *(step.score for step in self.steps[:t] if step.score is not None)]

    def scored_scripts(self) -> Iterator[tuple[int, float, str, str]]:
        """(step, validation score, script, workspace digest after it) wherever a score is known."""
        for t, step in enumerate(self.steps):
            if step.score is not None and step.script and step.workspace:
                yield t, step.score, step.script, step.workspace

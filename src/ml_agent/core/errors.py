"""Every error this package raises, and the one rule about them.

    MLAgentError
    |-- UsageError          the caller asked for something impossible (exit code 2)
    |   `-- Refusal         a request to our own server is refused (`models.serving`)
    |-- TaskError           a task package is incomplete, or its data cannot be prepared
    |-- AssetError          something pinned could not be downloaded, verified or unpacked
    |-- SandboxError        a box could not be made, reached or read
    |   `-- NoIsolation     this machine cannot isolate untrusted code; the message says the fix
    |-- GraderError         the grader's process failed (never: the predictions were bad)
    |-- ModelError          a model could not be loaded, or a call to it failed
    |   |-- TooLong         what it is asked is longer than it can read
    |   `-- Forbidden       an endpoint does not take this, or nothing of ours (`models.http`)
    |-- StoreError          a record could not be written or read back
    |-- EndsRun             every further attempt would meet it too: ends a run at once
    |   |-- DiskFull        no space is left; the run goes on when there is some
    |   |-- BudgetSpent     the tokens or the money allowed for an endpoint are spent
    |   `-- Refused         an endpoint takes no request of ours: a wrong key, model or address
    `-- TrainingError       training cannot go on (nothing to train on, numbers not finite)

The rule: what the agent's script does is data (an `Execution`, even when it crashes), and bad
predictions are data (`Malformed`); what our machinery does is an error. An agent is never
punished, and never excused, for an `MLAgentError`.
"""

import errno
from collections.abc import Iterator
from contextlib import contextmanager


class MLAgentError(Exception):
    """Base of every error raised here; catch this to catch them all."""


class UsageError(MLAgentError, ValueError):
    """The caller asked for something impossible."""


class TaskError(MLAgentError):
    """A task package is incomplete, or its data cannot be prepared."""


class AssetError(MLAgentError):
    """Something pinned could not be downloaded, verified or unpacked."""


class SandboxError(MLAgentError):
    """A box could not be made, reached or read."""


class NoIsolation(SandboxError):
    """This machine cannot isolate untrusted code; the message says how to change that."""


class GraderError(MLAgentError):
    """The grader's process failed. Bad predictions are not this: they are `Malformed`."""


class ModelError(MLAgentError):
    """A model could not be loaded, or a call to it failed."""


class TooLong(ModelError):
    """What a model is asked is longer than it can read: this question's end, and no other's."""


class StoreError(MLAgentError):
    """A record could not be written or read back."""


class EndsRun(MLAgentError):
    """Never one attempt's bad luck: every further one would meet it too."""


class DiskFull(EndsRun):
    """No space is left."""


class BudgetSpent(EndsRun):
    """The next request to an endpoint may cost more than is left of what the user allowed."""


class Refused(EndsRun):
    """An endpoint takes no request of ours. The message says what to change."""


class TrainingError(MLAgentError):
    """Training cannot go on: nothing to train on, or numbers that are not finite."""


def is_full(error: OSError) -> bool:
    """Whether it says that the disk, or the user's share of it, is full."""
    return error.errno in {errno.ENOSPC, errno.EDQUOT}


@contextmanager
def enough_memory(kind: type[MLAgentError], doing: str, remedy: str) -> Iterator[None]:
    """Turn a GPU's running out of memory into `kind`, with what to do.

    Args:
        kind: As for `boundary`.
        doing: What the memory was wanted for.
        remedy: What needs less, as a sentence.

    Raises:
        MLAgentError: The memory was not enough.
    """
    try:
        yield
    except Exception as cause:
        # By its name: whoever reads this file need not load torch.
        if type(cause).__name__ != "OutOfMemoryError":
            raise
        raise kind(f"the GPU has too little memory for {doing}. {remedy}") from cause


@contextmanager
def boundary(kind: type[MLAgentError], doing: str) -> Iterator[None]:
    """Turn any stray exception raised inside into `kind`, keeping its cause.

    Args:
        kind: The class that names whose machinery failed.
        doing: What was being attempted, in words: "starting the grader of iris".

    Raises:
        MLAgentError: Always one of ours; an error that is ours already passes through.
    """
    try:
        yield
    except MLAgentError:
        raise
    except Exception as cause:
        raise kind(f"{doing}: {type(cause).__name__}: {cause}") from cause

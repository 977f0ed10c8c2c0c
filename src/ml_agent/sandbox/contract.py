"""The contract every box keeps: run an untrusted script, lose nothing, leak nothing.

Inside a box the working directory is the workspace: small files that may be read and written.
`data/` in it is the task's public data, read-only, on no snapshot. Nothing else of the host can
be seen: no network, no home, no secrets, no other process, no labels.
"""

from collections.abc import Collection, Sequence
from typing import Literal, Protocol

from ml_agent.core.records import Execution, Limits

Tier = Literal["strong", "reduced", "none"]
"""Which isolation holds, best first; see `docs/sandbox.md`."""


class Sandbox(Protocol):
    """A workspace and the only way to run code in it. One run at a time per box."""

    tier: Tier
    """Which isolation holds; every `Execution` says it too."""

    def run(self, argv: Sequence[str], *, limits: Limits, cores: Collection[int] = ()) -> Execution:
        """Run `python *argv` in the workspace and wait until its whole process tree is gone.

        What a script prints before a crash or a kill is kept. Files it leaves are in the workspace
        afterwards if they are regular, single-link and within the size cap; all else is dropped.

        Args:
            argv: Arguments of the interpreter, the script first: ("train.py",).
            limits: What the run may use. Meeting one is `Execution.killed_by`.
            cores: Numbers of the processor cores it may run on; none: on any.

        Raises:
            SandboxError: The box itself failed: never the script's fault.
        """
        ...

    def read(self, path: str) -> bytes | None:
        """Bytes of a workspace (or data/) file; None if there is no regular file of that name.

        Raises:
            UsageError: The path leaves the workspace; so do `write` and `names`.
        """
        ...

    def write(self, path: str, content: bytes) -> None:
        """Put a file into the workspace, making its folders.

        Raises:
            UsageError: The path is in data/, or a file and a folder would share a name.
        """
        ...

    def names(self, folder: str = ".") -> list[str] | None:
        """Sorted names in a folder, folders with a trailing slash; None if there is none."""
        ...

    def snapshot(self) -> str:
        """Save the workspace (without data/); equal contents give equal digests."""
        ...

    def restore(self, digest: str) -> None:
        """Make the workspace exactly what it was at `digest`, whatever it is now.

        Raises:
            SandboxError: There is no such snapshot, or a file of it is missing or altered.
        """
        ...

    def close(self) -> None:
        """Remove the workspace. Calling it twice is harmless."""
        ...

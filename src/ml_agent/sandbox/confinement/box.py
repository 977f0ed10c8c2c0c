"""What the launcher is asked for."""

TYPE_CHECKING = False
if TYPE_CHECKING:  # typing and collections.abc are slow to import.
    from collections.abc import Sequence


class Box:
    """One run: a command, its workspace, and what it may use.

    A plain class: it is read by a process that cannot afford `dataclasses` (20 ms of imports).
    """

    def __init__(  # noqa: PLR0913 -- a record
        self,
        *,
        argv: list[str],
        environment: dict[str, str],
        files: dict[str, bytes],
        data: str | None,
        visible: list[str],
        hidden: list[str],
        links: dict[str, str],
        wall_s: float,
        cpu_s: float,
        memory_bytes: int,
        disk_bytes: int,
        processes: int,
        output_bytes: int,
        threads: int = 1,
        cores: "Sequence[int]" = (),
        scratch: str = "",
    ):
        """Keep what was given.

        Args:
            argv: The command; its first word is a path inside one of `visible`.
            environment: All of it; nothing is inherited.
            files: The workspace.
            data: Folder shown read-only as data/ in the workspace; None: there is none.
            visible: Absolute paths of folders and files that are shown read-only in the same place,
                as Python's own.
            hidden: Folders inside those that are shown empty.
            links: Links beside those, and what each says, for a box that has a root of its own.
            wall_s: From the start of the command to its end.
            cpu_s: Of all processes together, in seconds.
            memory_bytes: Of all processes together; more than that is refused to a single one.
            disk_bytes: Workspace (beyond `files`), /tmp and /dev/shm together.
            processes: Processes and threads together.
            output_bytes: How much of the output is kept.
            threads: How many numerical libraries use at once.
            cores: Numbers of the cores it may run on; none: on any.
            scratch: Empty folder for a box without namespaces, which has no disk of its own.
        """
        self.argv = argv
        self.environment = environment
        self.files = files
        self.data = data
        self.visible = visible
        self.hidden = hidden
        self.links = links
        self.wall_s = wall_s
        self.cpu_s = cpu_s
        self.memory_bytes = memory_bytes
        self.disk_bytes = disk_bytes
        self.processes = processes
        self.output_bytes = output_bytes
        self.threads = threads
        self.cores = cores
        self.scratch = scratch

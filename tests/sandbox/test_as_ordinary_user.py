"""What holds when root starts a box must hold when an ordinary user does: other identities, other
permissions, other limits. Run by root, the suite runs once more as somebody without rights."""

import itertools
import os
import pwd
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from ml_agent.sandbox import cold

REPOSITORY = Path(__file__).parents[2]
CHOSEN = {
    # In parts, for several cores: files, classes and tests, and how many they hold at least.
    "warm limits": (
        (
            "test_warm_box.py::TestContract",
            "test_warm_box.py::TestFloods",
            "test_warm_box.py::test_a_machine_short_of_processes_costs_one_run_and_not_the_engine",
        ),
        60,
    ),
    "warm escapes": (("test_warm_box.py::TestEscapes", "test_warm_box.py::TestTricks"), 60),
    "cold": (("test_cold_box.py",), 120),
    "reduced limits": (
        ("test_reduced_box.py::TestContract", "test_reduced_box.py::TestFloods"),
        60,
    ),
    "reduced escapes": (
        (
            "test_reduced_box.py::TestEscapes",
            "test_reduced_box.py::TestTricks",
            "test_without_namespaces.py",
        ),
        75,
    ),
    "around": (
        (
            "test_forged_scores.py",
            "test_positive_control.py",
            "test_isolation.py",
            "test_confinement.py::test_a_process_can_be_confined_after_a_fork_and_go_on",
            "test_confinement.py::test_a_launcher_that_dies_is_our_error_and_takes_the_script_along",
            "test_confinement.py::test_a_script_does_not_outlive_a_caller_that_was_killed",
        ),
        62,
    ),
}
_RUN = "import os, pytest, sys; print('user', os.getuid()); sys.exit(pytest.main(sys.argv[1:]))"


@pytest.mark.parametrize("part", CHOSEN)
def test_the_suite_passes_for_an_ordinary_user_too(room: Path, part: str) -> None:
    names, at_least = CHOSEN[part]
    user = nobody_in_particular(list(CHOSEN).index(part))
    os.chown(room, user, user)
    pytest_options = ["-p", "no:cacheprovider", f"--basetemp={room / 'tests'}"]
    chosen = [f"tests/sandbox/{name}" for name in names]
    lines = [
        *open_the_way_to(shown_folders(), stage=room / "stage"),
        f"cd {shlex.quote(str(REPOSITORY))}",
        "exec setpriv --clear-groups --inh-caps=-all "
        f"--reuid {user} --regid {user} "
        + shlex.join([sys.executable, "-c", _RUN, *pytest_options, *chosen]),
    ]
    seen = subprocess.run(
        ["unshare", "--mount", "sh", "-e", "-c", "\n".join(lines)],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": os.environ["PATH"], "HOME": str(room), "PYTHONDONTWRITEBYTECODE": "1"},
    )
    said = seen.stdout + seen.stderr
    assert seen.returncode == 0, said
    assert seen.stdout.startswith(f"user {user}\n")
    passed = re.search(r"^(\d+) passed in ", seen.stdout, re.M)
    assert passed is not None, said
    assert int(passed[1]) >= at_least


@pytest.fixture
def room() -> Iterator[Path]:
    """A folder that an ordinary user can reach, which pytest's own are not."""
    if os.geteuid() != 0:
        pytest.skip("the suite itself is run by an ordinary user")
    if shutil.which("unshare") is None or shutil.which("setpriv") is None:
        pytest.skip("util-linux is not installed")
    folder = Path(tempfile.mkdtemp(prefix="ml-agent-", dir="/var/tmp"))
    (folder / "stage").mkdir()
    yield folder
    shutil.rmtree(folder)


def nobody_in_particular(number: int) -> int:
    """A user that is nobody's: neither in the list of users nor the one that boxes use.

    Parts run side by side, and what one user starts elsewhere counts towards its limits: each part
    is another user.
    """
    free = (user for user in range(65533, 0, -1) if not _is_taken(user))
    return next(itertools.islice(free, number, None))


def _is_taken(user: int) -> bool:
    try:
        pwd.getpwuid(user)
    except KeyError:
        return False
    return True


def shown_folders() -> list[Path]:
    """What the suite reads: the interpreter, wherever it is, and this repository."""
    return [*map(Path, cold._visible()), REPOSITORY]


def open_the_way_to(folders: list[Path], *, stage: Path) -> list[str]:
    """Commands that show folders which lie below closed ones, in a mount namespace of one's own.

    A closed folder (/root) is hidden by an empty one in which only the way to them exists.
    """
    closed = {folder: above for folder in folders if (above := _first_closed(folder)) is not None}
    lines = [f"mount -t tmpfs none {stage}"]
    for number, folder in enumerate(closed):
        make = "mkdir -p" if folder.is_dir() else "touch"
        lines.append(f"{make} {stage}/{number}; mount --rbind {_quote(folder)} {stage}/{number}")
    lines += [f"mount -t tmpfs -o mode=755 none {_quote(above)}" for above in set(closed.values())]
    for number, folder in enumerate(closed):
        make = "mkdir -p" if folder.is_dir() else f"mkdir -p {_quote(folder.parent)}; touch"
        lines.append(f"{make} {_quote(folder)}; mount --rbind {stage}/{number} {_quote(folder)}")
    return [*lines, f"umount --lazy {stage}"]


def _first_closed(folder: Path) -> Path | None:
    above = reversed(folder.parents)
    return next((path for path in above if not path.stat().st_mode & 0o001), None)


def _quote(path: Path) -> str:
    return shlex.quote(str(path))

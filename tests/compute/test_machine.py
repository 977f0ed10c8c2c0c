"""What a container is allowed of its machine."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from ml_agent.compute.machine import cores, free_memory_bytes, memory_bytes


def show(folder: Path, own: str, files: dict[str, str]) -> None:
    """Control groups that say this, and in `own` in which of them a process is."""
    (folder / "own").write_text(own)
    for name, content in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"{content}\n")


@pytest.mark.parametrize(
    ("own", "limited", "limit"),
    [
        ("0::/outer/inner", "outer/memory.max", "4096"),
        ("0::/", "memory.max", "4096"),
        ("0::/not/shown/here", "memory.max", "4096"),
        ("5:cpu:/\n4:memory:/inner", "memory/inner/memory.limit_in_bytes", "4096"),
        ("0::/", "memory.max", "max"),
        ("4:memory:/", "memory/memory.limit_in_bytes", "9223372036854771712"),
        ("1:cpu:/", "cpu/memory.max", "4096"),
    ],
)
def test_memory_is_what_a_container_may_use(
    own: str, limited: str, limit: str, tmp_path: Path
) -> None:
    show(tmp_path, own, {limited: limit})
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    seen = memory_bytes(tmp_path, tmp_path / "own")
    assert seen == (4096 if limit == "4096" and not limited.startswith("cpu") else whole)


@pytest.mark.parametrize(
    ("own", "files", "free"),
    [
        ("0::/", {"memory.max": "5000", "memory.current": "1000"}, 4000),
        (
            "0::/",
            {
                "memory.max": "5000",
                "memory.current": "3000",
                "memory.stat": "file 900\ninactive_file 500\nactive_file 400",
            },
            2500,
        ),
        (
            "0::/outer/inner",
            {
                "outer/memory.max": "5000",
                "outer/memory.current": "4500",
                "outer/inner/memory.max": "3000",
                "outer/inner/memory.current": "100",
            },
            500,
        ),
        (
            "4:memory:/",
            {
                "memory/memory.limit_in_bytes": "5000",
                "memory/memory.usage_in_bytes": "4000",
                "memory/memory.stat": "inactive_file 1\ntotal_inactive_file 300",
            },
            1300,
        ),
        ("0::/", {"memory.max": "5000", "memory.current": "6000"}, 0),
        ("0::/", {"memory.max": "5000"}, 5000),
    ],
)
def test_free_memory_is_what_a_container_may_still_take(
    own: str, files: dict[str, str], free: int, tmp_path: Path
) -> None:
    show(tmp_path, own, files)
    assert free_memory_bytes(tmp_path, tmp_path / "own") == free


def test_free_memory_is_the_machine_s_where_nothing_is_limited(tmp_path: Path) -> None:
    show(tmp_path, "0::/", {"memory.max": "max"})
    assert 0 < free_memory_bytes(tmp_path, tmp_path / "own") < memory_bytes()


def test_a_limit_that_cannot_be_read_stops_nobody(tmp_path: Path) -> None:
    show(tmp_path, "0::/", {})
    for name in ("memory.max", "cpu.max"):
        # A file that is there, and whose first byte is not to be had.
        (tmp_path / name).symlink_to("/proc/self/mem")
    assert free_memory_bytes(tmp_path, tmp_path / "own") > 0
    assert memory_bytes(tmp_path, tmp_path / "own") == memory_bytes(tmp_path, tmp_path / "none")
    assert cores(tmp_path, tmp_path / "own") == len(os.sched_getaffinity(0))


@pytest.mark.parametrize(
    ("own", "files", "count"),
    [
        ("0::/inner", {"inner/cpu.max": "150000 100000"}, 2),
        ("0::/inner", {"inner/cpu.max": "max 100000", "cpu.max": "50000 100000"}, 1),
        ("0::/not/shown/here", {"cpu.max": "200000 100000"}, 2),
        (
            "3:cpu,cpuacct:/inner",
            {
                "cpu,cpuacct/inner/cpu.cfs_quota_us": "100000",
                "cpu,cpuacct/inner/cpu.cfs_period_us": "50000",
            },
            2,
        ),
        (
            "3:cpuacct,cpu:/",
            {"cpu/cpu.cfs_quota_us": "100000", "cpu/cpu.cfs_period_us": "50000"},
            2,
        ),
        (
            "3:cpu,cpuacct:/",
            {"cpu,cpuacct/cpu.cfs_quota_us": "-1", "cpu,cpuacct/cpu.cfs_period_us": "100000"},
            9,
        ),
        ("0::/", {"cpu.max": "10000000 100000"}, 9),
        ("4:memory:/", {"memory/cpu.max": "100000 100000"}, 9),
        ("", {}, 9),
    ],
)
def test_cores_are_what_a_quota_of_a_container_pays_for(
    own: str,
    files: dict[str, str],
    count: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # As on a machine of nine cores.
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(9)))
    show(tmp_path, own, files)
    assert cores(tmp_path, tmp_path / "own") == count


KEEPING = """
import os, sys
from pathlib import Path
from ml_agent.compute.machine import keep_to_quota
before = os.sched_getaffinity(0)
keep_to_quota(Path(sys.argv[1]), Path(sys.argv[1]) / "own")
after = os.sched_getaffinity(0)
print(len(before), len(after), after <= before)
"""


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores, one to leave")
@pytest.mark.parametrize(
    ("quota", "kept"), [("80000", 1), ("max", None), ("half", None), ("1 0", None)]
)
def test_no_more_cores_are_kept_than_a_quota_pays_for(
    quota: str, kept: int | None, tmp_path: Path
) -> None:
    show(tmp_path, "0::/", {"cpu.max": f"{quota} 100000"})
    said = subprocess.run(
        [sys.executable, "-c", KEEPING, tmp_path], capture_output=True, text=True, check=True
    ).stdout.split()
    assert said[1:] == [str(kept or said[0]), "True"]


STARTING = """
import os
from ml_agent.cli.main import main
try:
    main()
finally:
    print(len(os.sched_getaffinity(0)))
"""


@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("unshare") is None,
    reason="only root can show a process other control groups, with unshare of util-linux",
)
def test_every_command_keeps_to_the_quota() -> None:
    limit = "mount -t tmpfs tmpfs /sys/fs/cgroup; echo 80000 100000 > /sys/fs/cgroup/cpu.max"
    within = ["unshare", "--mount", "sh", "-ec", f'{limit}; exec "$@"', "sh"]
    said = subprocess.run(
        [*within, sys.executable, "-c", STARTING, "--version"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert said[-1] == "1"

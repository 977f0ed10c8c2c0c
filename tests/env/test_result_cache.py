"""The folder of results: keys, room, kills, damage, and many processes at once."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from cached_runs import HERE, PARTS, SMALL, blobs, read, result

from ml_agent.core.records import Limits
from ml_agent.env import ResultCache
from ml_agent.env.result_cache import experiment_key, software_versions


@pytest.mark.parametrize(
    "changed",
    [
        {"script": "other.py"},
        {"workspace": "c" * 64},
        {"data": "c" * 64},
        {"limits": Limits(wall_s=31.0)},
        {"limits": Limits(threads=2)},
        {"limits": Limits(output_kib=65)},
        {"tier": "none"},
        *({"software": {**software_versions(), name: "0"}} for name in software_versions()),
    ],
)
def test_whatever_a_result_depends_on_is_in_its_key(changed: dict[str, object]) -> None:
    key = experiment_key(**PARTS)
    assert key == experiment_key(**(PARTS | {"software": None}))
    assert len(key) == 64
    assert experiment_key(**(PARTS | changed)) != key


def test_the_software_of_a_key_is_python_the_machine_and_all_that_is_installed() -> None:
    import numpy as np
    import torch

    found = software_versions()
    assert found["python"] == ".".join(map(str, sys.version_info[:3]))
    assert found["machine"] == os.uname().machine
    assert found["numpy"] == np.__version__
    assert found["torch"] == str(torch.__version__)
    assert {"pandas", "scikit-learn", "scipy", "networkx", "ml-agent", "pip"} <= set(found)


def test_a_damaged_blob_takes_all_results_with_it_that_need_it(
    cache: ResultCache, root: Path
) -> None:
    shared = {"model.bin": b"shared" * 100}
    cache.keep("one", result("1", workspace=shared))
    cache.keep("two", result("2", workspace=shared))
    cache.keep("three", result("3"))
    (kept,) = [path for path in blobs(root) if path.read_bytes() == shared["model.bin"]]
    kept.unlink()
    assert cache.find("one") is None
    cache.keep("one", result("1", workspace=shared))
    assert cache.find("one") == result("1", workspace=shared)
    assert cache.hit("two") == 0
    assert cache.find("three") == result("3")


def test_beyond_its_bound_the_cache_forgets_what_was_used_longest_ago(root: Path) -> None:
    with ResultCache(root, bytes_at_most=5 * SMALL) as cache:
        for name in "abcde":
            cache.keep(name, result(name))
        assert cache.hit("a") == 1
        assert len(blobs(root)) == 15
        # Six are too many; down to four fifths of the bound, b and c go.
        cache.keep("f", result("f"))
        found = {name: cache.find(name) for name in "abcdef"}
        assert [name for name, one in found.items() if one] == ["a", "d", "e", "f"]
        assert found["a"] == result("a")
        assert len(blobs(root)) == 12


def test_a_blob_stays_as_long_as_a_result_needs_it(root: Path) -> None:
    shared = {"model.bin": b"x" * 5000}
    with ResultCache(root, bytes_at_most=5 * SMALL) as cache:
        for name in "abcdefghijk":
            cache.keep(name, result(name, workspace=shared))
        kept = [name for name in "abcdefghijk" if cache.find(name)]
        assert kept[-1] == "k"
        assert 0 < len(kept) < 6
        assert cache.find("k") == result("k", workspace=shared)
        # Three of each, and the one they share.
        assert len(blobs(root)) == 3 * len(kept) + 1


def test_what_is_larger_than_the_bound_is_not_kept_at_the_cost_of_all_else(root: Path) -> None:
    with ResultCache(root, bytes_at_most=5 * SMALL) as cache:
        cache.keep("small", result("s"))
        cache.keep("large", result("l", size=6 * SMALL))
        assert cache.find("large") is None
        assert cache.find("small") == result("s")


KEEPS = (
    HERE
    + """
from cached_runs import *
cache = ResultCache(Path(sys.argv[1]))
for number in range(10_000):
    name = f"{sys.argv[2]}{number}"
    cache.keep(name, result(name, size=200_000, workspace={"same": b"same" * 10_000}))
    print(name, flush=True)
"""
)


def test_kill_9_while_writing_leaves_a_cache_that_works(root: Path) -> None:
    told: list[str] = []
    for turn in range(3):
        call = [sys.executable, "-c", KEEPS, str(root), f"{turn}-"]
        with subprocess.Popen(call, stdout=subprocess.PIPE, text=True) as writer:
            assert writer.stdout is not None
            told += [writer.stdout.readline().strip() for _ in range(5 + turn)]
            os.kill(writer.pid, signal.SIGKILL)
    with ResultCache(root, bytes_at_most=1 << 20) as cache:
        for name in told:
            expected = result(name, size=200_000, workspace={"same": b"same" * 10_000})
            assert cache.find(name) == expected
        # Clearing removes what the kills left over, too: what is left is what is needed.
        cache.keep("new", result("new"))
        assert cache.find("new") == result("new")
    needed = read(root, "SELECT digest FROM blobs")
    assert {path.name for path in blobs(root)} == needed
    assert sum(path.stat().st_size for path in blobs(root)) <= 1 << 20


WORKS = (
    HERE
    + """
import threading
from cached_runs import *
cache = ResultCache(Path(sys.argv[1]), bytes_at_most=20 * SMALL)
wrong, found = [], []
def work(turn):
    for number in range(60):
        name = str((number * 7 + turn * 13) % 40)
        kept = cache.find(name)
        found.append(kept)
        if kept not in (None, result(name)):
            wrong.append(name)
        cache.hit(name)
        cache.keep(name, result(name))
threads = [threading.Thread(target=work, args=(turn,)) for turn in range(3)]
for one in threads: one.start()
for one in threads: one.join()
print(len(wrong), any(found))
"""
)


def test_many_processes_and_threads_share_a_cache_that_is_being_cleared(root: Path) -> None:
    call = [sys.executable, "-c", WORKS, str(root)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    workers = [subprocess.Popen(call, text=True, **pipes) for _ in range(3)]
    for worker in workers:
        # Nothing on standard error: no result was called damaged, and no cache went out of use.
        assert worker.communicate(timeout=120) == ("0 True\n", "")
    needed = read(root, "SELECT digest FROM blobs")
    assert needed
    assert {path.name for path in blobs(root)} == needed


def test_of_an_unstable_key_nothing_stays_and_nothing_is_kept(
    cache: ResultCache, root: Path
) -> None:
    cache.keep("a", result("a"))
    cache.mark_unstable("a")
    assert blobs(root) == []
    cache.keep("a", result("a"))
    assert cache.find("a") is None
    assert cache.is_unstable("a")
    assert not cache.is_unstable("b")


def test_an_index_that_is_none_is_a_warning_and_no_more(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (root / "v1").mkdir(parents=True)
    (root / "v1" / "index.sqlite").write_bytes(b"no database at all" * 100)
    with ResultCache(root) as cache:
        cache.keep("a", result("a"))
        assert cache.find("a") is None
        assert (cache.hit("a"), cache.is_unstable("a")) == (0, False)
    assert "not a database" in caplog.text
    assert len(caplog.records) == 1

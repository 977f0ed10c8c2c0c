"""The warm engine is killed at random moments: one clear error at most, and nothing left over."""

import os
import random
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from box_conformance import play
from canaries import wait_for
from processes import Known, descendants, is_alive, known, lives, session

from ml_agent.core.errors import SandboxError
from ml_agent.sandbox import Snapshots, WarmBox, WarmEngine

KILLS = 100


@pytest.mark.slow
def test_a_hundred_kills_cost_no_more_than_the_run_under_way(snapshots: Snapshots) -> None:
    chance = random.Random(0)
    failed = finished = 0
    victims, seen = Counter[bool](), set[Known]()
    with WarmEngine() as engine, ThreadPoolExecutor(1) as pool:
        box = WarmBox(snapshots, engine, modules=("json",))
        for number in range(KILLS):
            leader, residents = engine_processes(box)
            run = pool.submit(play, box, "import time; time.sleep(0.05); print('done')")
            time.sleep(chance.uniform(0.0, 0.15))
            tree = descendants(leader)
            # The engine's first process and those that stay beside it between runs: in turn.
            choice = [leader] if number % 2 else sorted(residents - {leader}) or [leader]
            victim = chance.choice(choice)
            victims[victim == leader] += 1
            stays = set() if victim == leader else residents - {victim}
            doomed = known(tree - stays)
            seen |= known(tree | residents)
            os.kill(victim, signal.SIGKILL)
            try:
                assert run.result(timeout=30).output == "done\n"
                finished += 1
            except SandboxError as error:
                assert "the warm engine died" in str(error)
                failed += 1
            wait_for(lambda doomed=doomed: not any(map(lives, doomed)))
            assert play(box, "print('again')").output == "again\n"
    wait_for(lambda: not any(map(lives, seen)))
    assert failed + finished == KILLS
    # Both happened, or the moments were no test.
    assert min(failed, finished) >= KILLS // 10, (failed, finished)
    assert victims[True] >= KILLS // 10, victims
    assert victims[False] > 0, victims


def test_a_script_does_not_outlive_its_supervisor(snapshots: Snapshots) -> None:
    with WarmEngine() as engine, ThreadPoolExecutor(1) as pool:
        box = WarmBox(snapshots, engine, modules=("json",))
        leader, residents = engine_processes(box)
        run = pool.submit(play, box, "import time; time.sleep(15)")
        # The script has a session of its own as soon as it is confined.
        wait_for(lambda: any(session(pid) == pid for pid in descendants(leader) - {leader}))
        script = [pid for pid in descendants(leader) - {leader} if session(pid) == pid]
        (supervisor,) = members(leader) - residents
        os.kill(supervisor, signal.SIGKILL)
        with pytest.raises(SandboxError, match="the warm engine died under this run"):
            run.result(timeout=10)
        wait_for(lambda: not any(map(is_alive, script)))
        assert play(box, "print('again')").output == "again\n"


def test_workers_that_died_waiting_are_not_used(snapshots: Snapshots) -> None:
    with WarmEngine() as engine:
        box = WarmBox(snapshots, engine, modules=("json",))
        leader, _ = engine_processes(box)
        waiting = [pid for pid in descendants(leader) if is_first_of_a_namespace(pid)]
        assert waiting
        for pid in waiting:
            os.kill(pid, signal.SIGKILL)
        wait_for(lambda: not any(map(is_alive, waiting)))
        assert play(box, "print('again')").output == "again\n"


def engine_processes(box: WarmBox) -> tuple[int, set[int]]:
    """The first process of an idle engine, and all that stay there between two runs."""
    play(box, "")
    assert box._engine._process is not None
    leader = box._engine._process.pid
    residents = members(leader)
    play(box, "")
    return leader, residents & members(leader)


def members(leader: int) -> set[int]:
    """The living processes of an engine, without those that are, or wait to be, a box's first."""
    everybody = (int(entry.name) for entry in Path("/proc").glob("[0-9]*"))
    ours = {pid for pid in everybody if session(pid) == leader and is_alive(pid)}
    return {pid for pid in ours if not is_first_of_a_namespace(pid)}


def is_first_of_a_namespace(pid: int) -> bool:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return any(line.startswith("NSpid:") and line.endswith("\t1") for line in lines)

"""The warm engine keeps the contract of every box, and what one run does reaches no other."""

import os
import resource
import signal
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import processes
import pytest
from box_conformance import SMALL, BoxConformance, MakeBox, but, play
from box_escapes import BoxEscapes
from box_floods import BoxFloods
from box_tricks import BoxTricks
from canaries import outside, wait_for
from processes import is_alive

from ml_agent.core.errors import SandboxError
from ml_agent.sandbox import ColdBox, Snapshots, WarmBox, WarmEngine

__all__ = ["outside"]


@pytest.fixture(scope="module")
def engine() -> Iterator[WarmEngine]:
    with WarmEngine() as engine:
        yield engine


class Warm:
    @pytest.fixture
    def make_box(self, snapshots: Snapshots, engine: WarmEngine) -> MakeBox:
        return lambda data: WarmBox(snapshots, engine, data=data)


class TestContract(Warm, BoxConformance):
    pass


class TestEscapes(Warm, BoxEscapes):
    pass


class TestFloods(Warm, BoxFloods):
    pass


class TestTricks(Warm, BoxTricks):
    pass


@pytest.fixture
def box(snapshots: Snapshots, engine: WarmEngine) -> WarmBox:
    return WarmBox(snapshots, engine)


def children(pid: int) -> set[int]:
    """Without a zygote that has torch, which a test before may have made the engine start."""
    return {child for child in processes.children(pid) if not has_torch(child)}


def has_torch(pid: int) -> bool:
    try:
        return b"torch.utils.data" in Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False


def engine_and_zygote(box: WarmBox) -> tuple[int, int]:
    """Their process ids, with no run under way."""
    play(box, "")
    process = box._engine._process
    assert process is not None
    wait_for(lambda: len(children(process.pid)) == 1)
    (zygote,) = children(process.pid)
    return process.pid, zygote


POOL = """
import multiprocessing
def f(x): return x * x
if __name__ == "__main__":
    with multiprocessing.get_context("{}").Pool(2) as pool:
        print(pool.map(f, range(4)))
"""
SCRIPTS = {
    "a traceback": "def f():\n    return [][1]\nf()",
    "an unknown name": "import numpy\nprnt(1)",
    "a syntax error": "x = 1\nif x\n    pass",
    "a cause": "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise ValueError('v') from e",
    "an exit with words": "import sys; sys.exit('enough')",
    "an exit with a number": "raise SystemExit(300)",
    "a thread": "import threading\nthreading.Thread(target=lambda: print('in a thread')).start()",
    "the end of the interpreter": "import atexit; atexit.register(print, 'last'); print('first')",
    "a hook": "import sys\nsys.excepthook = lambda *_: print('hooked')\n1 / 0",
    "a name": "print(__name__, __file__, __spec__, sorted(globals()))",
    "a path": "import sys; print(sys.path, sys.argv, sys.flags.no_site, sys.orig_argv[0])",
    "an environment": "import os; print(sorted(os.environ.items()))",
    "a hash": "print(hash('a'), {'x', 'y', 'z'})",
    "a pickled class": "import pickle\nclass A: pass\nprint(type(pickle.loads(pickle.dumps(A()))))",
    "a forked pool": POOL.format("fork"),
    "a spawned pool": POOL.format("spawn"),
    "a seeded forest": (
        "import numpy as np\nfrom sklearn.ensemble import HistGradientBoostingRegressor as H\n"
        "x = np.random.default_rng(0).normal(size=(300, 4))\n"
        "print(H(random_state=0).fit(x, x[:, 0]).predict(x[:3]))"
    ),
    "a warning": "import warnings; warnings.warn('careful')",
    "a closed output": "import sys; print('said'); sys.stdout.close()",
}


@pytest.mark.parametrize("kind", SCRIPTS)
def test_a_script_prints_and_ends_as_in_a_cold_box(
    box: WarmBox, snapshots: Snapshots, kind: str
) -> None:
    limits = but(memory_mib=512)
    cold, warm = (play(one, SCRIPTS[kind], limits=limits) for one in (ColdBox(snapshots), box))
    assert (warm.output, warm.exit_code) == (cold.output, cold.exit_code)


def test_global_random_numbers_differ_from_run_to_run(box: WarmBox) -> None:
    script = "import numpy, random; print(numpy.random.rand(), random.random())"
    first, second = play(box, script).output.split(), play(box, script).output.split()
    assert not set(first) & set(second)


def test_runs_of_many_threads_overlap_and_keep_apart(
    snapshots: Snapshots, engine: WarmEngine
) -> None:
    def one(number: int) -> str:
        return play(
            WarmBox(snapshots, engine), f"import time; time.sleep(.5); print({number})"
        ).output

    play(WarmBox(snapshots, engine), "")
    began = time.monotonic()
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(8))) == [f"{number}\n" for number in range(8)]
    assert time.monotonic() - began < 8 * 0.5


def test_no_child_is_left_behind_but_the_workers_that_wait(box: WarmBox) -> None:
    engine, zygote = engine_and_zygote(box)
    for _ in range(5):
        play(box, "")
    wait_for(lambda: children(engine) == {zygote})
    wait_for(lambda: len(children(zygote)) == 2)


@pytest.mark.parametrize("victim", [0, 1], ids=["engine", "zygote"])
def test_a_killed_process_is_one_clear_error_and_the_next_run_works(
    box: WarmBox, snapshots: Snapshots, engine: WarmEngine, victim: int
) -> None:
    family = engine_and_zygote(box)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(play, WarmBox(snapshots, engine), "import time; time.sleep(15)")
        wait_for(lambda: len(children(family[0])) == 2 and len(children(family[1])) == 3)
        descendants = children(family[0]) | children(family[1])
        os.kill(family[victim], signal.SIGKILL)
        with pytest.raises(SandboxError, match="the warm engine died under this run"):
            run.result(timeout=10)
    wait_for(lambda: not any(map(is_alive, descendants - {family[1]})))
    assert play(box, "print('again')").output == "again\n"
    assert not is_alive(family[1])


def test_an_engine_killed_before_it_has_read_the_request_is_the_same_clear_error(
    box: WarmBox, snapshots: Snapshots, engine: WarmEngine
) -> None:
    process, _ = engine_and_zygote(box)
    os.kill(process, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as pool:
        run = pool.submit(play, WarmBox(snapshots, engine), "")
        time.sleep(0.5)
        os.kill(process, signal.SIGKILL)
        with pytest.raises(SandboxError, match="the warm engine died under this run"):
            run.result(timeout=10)
    assert play(box, "print('again')").output == "again\n"


def test_an_engine_that_died_unnoticed_between_two_runs_is_started_again(
    box: WarmBox, engine: WarmEngine
) -> None:
    play(box, "")
    # As a killed process looks for a moment: its end of the channel is closed, yet it is no corpse.
    assert engine._channel is not None
    engine._channel.shutdown(socket.SHUT_RDWR)
    assert play(box, "print('again')").output == "again\n"


def test_a_zygote_that_died_between_two_runs_is_replaced_without_an_error(box: WarmBox) -> None:
    _, zygote = engine_and_zygote(box)
    os.kill(zygote, signal.SIGKILL)
    wait_for(lambda: not is_alive(zygote))
    assert play(box, "print('again')").output == "again\n"


def test_a_zygote_that_dies_with_something_unread_costs_no_run_of_another_kind(
    snapshots: Snapshots,
) -> None:
    with WarmEngine() as engine, ThreadPoolExecutor(2) as pool:
        box = WarmBox(snapshots, engine, modules=("json",))
        process, zygote = engine_and_zygote(box)
        wait_for(lambda: len(children(zygote)) == 2)
        other = WarmBox(snapshots, engine, modules=("csv",))
        script = "import time; time.sleep(2); print('whole')"
        run = pool.submit(play, other, script)
        wait_for(lambda: len(children(process)) == 3)
        os.kill(zygote, signal.SIGSTOP)
        # It takes a waiting worker, and the request for the next one is never read.
        doomed = pool.submit(play, box, "import time; time.sleep(20)")
        wait_for(lambda: len(children(process)) == 4)
        os.kill(zygote, signal.SIGKILL)
        with pytest.raises(SandboxError, match="the warm engine died under this run"):
            doomed.result(timeout=10)
        assert run.result(timeout=10).output == "whole\n"


@pytest.mark.skipif(os.geteuid() == 0, reason="no limit on processes holds for root")
def test_a_machine_short_of_processes_costs_one_run_and_not_the_engine(
    snapshots: Snapshots,
) -> None:
    with WarmEngine() as engine:
        box = WarmBox(snapshots, engine, modules=("json",))
        process, _ = engine_and_zygote(box)
        soft, hard = resource.prlimit(process, resource.RLIMIT_NPROC)
        resource.prlimit(process, resource.RLIMIT_NPROC, (1, hard))
        with pytest.raises(SandboxError, match="no supervisor"):
            play(box, "")
        resource.prlimit(process, resource.RLIMIT_NPROC, (soft, hard))
        assert play(box, "print('again')").output == "again\n"


def test_a_zygote_is_replaced_after_so_many_runs_and_none_is_lost(snapshots: Snapshots) -> None:
    script = "import os, time; time.sleep(.2); print(open('/proc/self/stat').read() != '')"
    with WarmEngine(recycle_after=3) as engine, ThreadPoolExecutor(4) as pool:
        box = WarmBox(snapshots, engine, modules=("numpy",))
        _, first = engine_and_zygote(box)
        boxes = [WarmBox(snapshots, engine, modules=("numpy",)) for _ in range(10)]
        seen = list(pool.map(lambda one: play(one, script).output, boxes))
        assert seen == ["True\n"] * 10
        wait_for(lambda: not is_alive(first))


def test_a_script_that_ends_before_its_supervisor_is_looking_is_a_run_like_others(
    snapshots: Snapshots,
) -> None:
    core = min(os.sched_getaffinity(0))
    with WarmEngine() as engine:
        box = WarmBox(snapshots, engine, modules=("json",))
        process, zygote = engine_and_zygote(box)
        wait_for(lambda: len(children(zygote)) == 2)
        # On one core, supervisors wait for as long as any worker has something to do.
        for pid in (process, zygote, *children(zygote)):
            os.sched_setaffinity(pid, [core])
        os.sched_setscheduler(process, os.SCHED_IDLE, os.sched_param(0))
        box.write("script.py", b"import os; print(os.sched_getaffinity(0))")
        for _ in range(5):
            seen = box.run(("script.py",), limits=SMALL, cores=[core])
            assert seen.output == f"{{{core}}}\n"


def test_torch_is_there_for_whoever_imports_it(box: WarmBox, snapshots: Snapshots) -> None:
    script = (
        "import sys\nwarm = 'torch' in sys.modules\n"
        "import torch\ntorch.manual_seed(0)\nprint(torch.randn(2), torch.get_num_threads())\n"
        "layer = torch.nn.Linear(3, 2)\nadam = torch.optim.Adam(layer.parameters())\n"
        "layer(torch.ones(1, 3)).sum().backward()\nadam.step()\nprint(layer.weight)\n"
    )
    limits = but(memory_mib=1024, wall_s=60, cpu_s=60)
    cold = play(ColdBox(snapshots), script + "print(warm)", limits=limits)
    warm = play(box, script + "print(warm)", limits=limits)
    assert cold.output.endswith("False\n"), cold
    assert warm.output == cold.output.removesuffix("False\n") + "True\n"
    unseeded = "import torch; print(torch.rand(1))"
    assert play(box, unseeded).output != play(box, unseeded).output


def test_what_only_the_interpreter_can_do_is_done_cold(box: WarmBox) -> None:
    box.write("tool.py", b"import sys; print(sys.argv[1:], 'numpy' in sys.modules)")
    seen = box.run(("-m", "tool", "x"), limits=SMALL)
    assert seen.output == "['x'] False\n"


def test_where_a_library_is_missing_scripts_start_cold_and_it_is_said_once(
    snapshots: Snapshots, caplog: pytest.LogCaptureFixture
) -> None:
    with WarmEngine() as engine:
        box = WarmBox(snapshots, engine, modules=("no_such_library",))
        loaded = "import sys; print('numpy' in sys.modules)"
        assert [play(box, loaded).output for _ in range(2)] == ["False\n"] * 2
        assert play(WarmBox(snapshots, engine), loaded).output == "True\n"
    (said,) = caplog.messages
    assert said.startswith("scripts start cold and slowly: ")
    assert "'no_such_library'" in said


def test_a_library_that_starts_threads_is_not_forked(
    snapshots: Snapshots,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "threads_at_import.py").write_text(
        "import threading, time\n"
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()"
    )
    from ml_agent.sandbox import warm

    path = {**warm.environment(), "PYTHONPATH": str(tmp_path)}
    monkeypatch.setattr(warm, "environment", lambda: path)
    with WarmEngine() as engine:
        box = WarmBox(snapshots, engine, modules=("threads_at_import",))
        assert play(box, "print(1)").output == "1\n"
    (said,) = caplog.messages
    assert "2 threads run after the imports (" in said
    assert "no fork is safe then" in said

"""The scheduler: who runs when, on which cores, and what happens to the rest."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError, Future, wait

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ml_agent.compute import Batch, Cores, Scheduler
from ml_agent.core.errors import UsageError
from ml_agent.core.records import Limits

LONG_S = 30.0
"""Longer than anything here takes; only a fault waits for so long."""


class Gate:
    """Work that stays where it is until it is let go, and notes what began, in order."""

    def __init__(self) -> None:
        self.began: list[str] = []
        self.open = threading.Event()

    def __call__(self, cores: Cores, name: str = "first") -> Cores:
        self.began.append(name)
        assert self.open.wait(LONG_S)
        return cores


@pytest.fixture
def gate() -> Iterator[Gate]:
    one = Gate()
    yield one
    one.open.set()


def test_tasks_take_turns_and_the_first_of_a_task_is_its_first(gate: Gate) -> None:
    order: list[str] = []
    with Scheduler([0]) as scheduler:
        scheduler.submit(gate, task="gate")
        for name in ("a1", "a2", "a3", "b1", "b2", "c1"):
            scheduler.submit(lambda _, name=name: order.append(name), task=name[0])
        gate.open.set()
    assert order == ["a1", "b1", "c1", "a2", "b2", "a3"]


@settings(max_examples=40, deadline=None)
@given(st.lists(st.sampled_from("abcd"), max_size=25))
def test_any_tasks_take_turns_in_the_order_in_which_they_came(tasks: list[str]) -> None:
    order: list[tuple[str, int]] = []
    held = Gate()
    with Scheduler([0]) as scheduler:
        scheduler.submit(held, task="gate")
        places = [(task, tasks[:i].count(task)) for i, task in enumerate(tasks)]
        for place in places:
            scheduler.submit(lambda _, place=place: order.append(place), task=place[0])
        held.open.set()
    assert order == sorted(places, key=lambda place: (place[1], tasks.index(place[0])))


class Meter:
    """Work that notes every breach of what the scheduler promises."""

    def __init__(self, memory_mib: int) -> None:
        self._lock = threading.Lock()
        self._memory_mib = memory_mib
        self._taken: dict[int, tuple[Cores, int]] = {}
        self.breaches: list[str] = []
        self.done = 0

    def work(self, cores: Cores, number: int, threads: int, memory_mib: int) -> None:
        with self._lock:
            others = [core for held, _ in self._taken.values() for core in held]
            if set(cores) & set(others) or len(set(cores)) != threads:
                self.breaches.append(f"{cores} beside {others}")
            used = sum(memory for _, memory in self._taken.values())
            if self._taken and used + memory_mib > self._memory_mib:
                self.breaches.append(f"{memory_mib} MiB beside {used} MiB")
            self._taken[number] = (cores, memory_mib)
        time.sleep(0.0005)
        with self._lock:
            del self._taken[number]
            self.done += 1


@settings(max_examples=25, deadline=None)
@given(
    cores=st.sets(st.integers(0, 99), min_size=1, max_size=6),
    wanted=st.lists(
        st.tuples(st.sampled_from("abc"), st.integers(1, 8), st.integers(0, 150)), max_size=30
    ),
)
def test_running_work_never_shares_a_core_nor_exceeds_the_memory(
    cores: set[int], wanted: list[tuple[str, int, int]]
) -> None:
    meter = Meter(memory_mib=100)
    with Scheduler(cores, memory_mib=100, waiting_at_most=5) as scheduler:

        def submit(part: int) -> None:
            for number, (task, threads, memory_mib) in list(enumerate(wanted))[part::2]:
                scheduler.submit(
                    lambda granted, n=number, t=threads, m=memory_mib: meter.work(
                        granted, n, min(t, len(cores)), m
                    ),
                    task=task,
                    threads=threads,
                    memory_mib=memory_mib,
                )

        submitters = [threading.Thread(target=submit, args=(part,)) for part in (0, 1)]
        for one in submitters:
            one.start()
        for one in submitters:
            one.join()
    assert meter.breaches == []
    assert meter.done == len(wanted)


def test_as_many_run_at_once_as_there_are_cores(gate: Gate) -> None:
    together = threading.Barrier(3)
    with Scheduler([4, 5, 6]) as scheduler:

        def work(cores: Cores) -> Cores:
            together.wait(LONG_S)
            gate.open.wait(LONG_S)
            return cores

        running = [scheduler.submit(work, task="a") for _ in range(3)]
        waiting = scheduler.submit(lambda cores: cores, task="a")
        assert [one.running() for one in running] == [True] * 3
        assert not waiting.running()
        gate.open.set()
        assert sorted(core for one in running for core in one.result(LONG_S)) == [4, 5, 6]
        assert waiting.result(LONG_S)[0] in {4, 5, 6}


def test_at_once_is_an_upper_bound_and_zero_is_none(gate: Gate) -> None:
    with Scheduler([0, 1, 2], at_once=2) as scheduler, Scheduler([0, 1, 2], at_once=0) as wide:
        bounded = [scheduler.submit(gate, task="a") for _ in range(3)]
        free = [wide.submit(gate, task="a") for _ in range(3)]
        assert [one.running() for one in bounded] == [True, True, False]
        assert [one.running() for one in free] == [True, True, True]
        gate.open.set()


def test_memory_is_reserved_while_work_runs(gate: Gate) -> None:
    with Scheduler([0, 1, 2], memory_mib=100) as scheduler:
        first = scheduler.submit(gate, task="a", memory_mib=60)
        second = scheduler.submit(gate, task="a", memory_mib=40)
        third = scheduler.submit(gate, task="a", memory_mib=1)
        assert [one.running() for one in (first, second, third)] == [True, True, False]
        gate.open.set()
        assert third.result(LONG_S)


def test_what_never_fits_runs_alone(gate: Gate) -> None:
    with Scheduler([0, 1], memory_mib=100) as scheduler:
        huge = scheduler.submit(gate, task="a", memory_mib=500, threads=9)
        small = scheduler.submit(gate, task="b", memory_mib=1)
        assert (huge.running(), small.running()) == (True, False)
        gate.open.set()
        assert sorted(huge.result(LONG_S)) == [0, 1]


def test_nothing_overtakes_work_that_waits_for_room(gate: Gate) -> None:
    with Scheduler([0, 1, 2], memory_mib=100) as scheduler:
        scheduler.submit(gate, task="a", memory_mib=50)
        large = scheduler.submit(lambda _: gate.began.append("large"), task="b", memory_mib=80)
        small = scheduler.submit(lambda _: gate.began.append("small"), task="c", memory_mib=10)
        assert not large.running()
        assert not small.running()
        gate.open.set()
        wait([large, small], LONG_S)
    assert gate.began[0] == "first"
    assert set(gate.began[1:]) == {"large", "small"}


def test_the_machines_own_cores_and_memory_are_shared_out_if_none_are_named(gate: Gate) -> None:
    whole_mib = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    with Scheduler() as scheduler:
        first = scheduler.submit(gate, task="a")
        second = scheduler.submit(gate, task="a", memory_mib=whole_mib)
        assert not second.running()
        gate.open.set()
        assert set(first.result(LONG_S)) <= os.sched_getaffinity(0)
        assert len(first.result()) == 1


def test_submitting_waits_while_too_much_is_waiting(gate: Gate) -> None:
    through = threading.Event()
    with Scheduler([0], waiting_at_most=2) as scheduler:
        scheduler.submit(gate, task="a")
        scheduler.submit(gate, task="a")
        taken_back = scheduler.submit(gate, task="b")

        def submit() -> None:
            scheduler.submit(gate, task="c")
            through.set()

        submitter = threading.Thread(target=submit)
        submitter.start()
        assert not through.wait(0.2)
        assert taken_back.cancel()
        assert through.wait(LONG_S)
        submitter.join()
        gate.open.set()


def test_what_has_not_begun_can_be_taken_back_and_what_has_cannot(gate: Gate) -> None:
    with Scheduler([0]) as scheduler:
        running = scheduler.submit(gate, task="a")
        waiting = scheduler.submit(lambda _: gate.began.append("never"), task="a")
        after = scheduler.submit(lambda _: gate.began.append("after"), task="a")
        assert waiting.cancel()
        assert not running.cancel()
        assert wait([waiting], LONG_S).done == {waiting}
        gate.open.set()
        wait([after], LONG_S)
    assert gate.began == ["first", "after"]
    with pytest.raises(CancelledError):
        waiting.result()


def test_what_was_taken_back_costs_its_task_no_turn(gate: Gate) -> None:
    order: list[str] = []
    with Scheduler([0]) as scheduler:
        scheduler.submit(gate, task="gate")
        names = ("a1", "a2", "b1")
        works = [scheduler.submit(lambda _, n=n: order.append(n), task=n[0]) for n in names]
        assert works[0].cancel()
        gate.open.set()
    assert order == ["a2", "b1"]


def test_cores_are_used_in_rotation_so_that_no_two_programs_crowd_the_first() -> None:
    with Scheduler([2, 3, 4], at_once=1) as scheduler:
        works = [scheduler.submit(lambda cores: cores, task="a") for _ in range(6)]
    assert [one.result() for one in works] == [(2,), (3,), (4,), (2,), (3,), (4,)]


def test_taking_back_large_work_lets_what_waits_behind_it_begin(gate: Gate) -> None:
    with Scheduler([0, 1], memory_mib=100) as scheduler:
        scheduler.submit(gate, task="a", memory_mib=50)
        large = scheduler.submit(gate, task="a", memory_mib=100)
        behind = scheduler.submit(gate, task="a", memory_mib=50)
        assert not behind.running()
        assert large.cancel()
        assert behind.running()
        gate.open.set()


def test_a_failure_is_its_own_and_stops_no_other() -> None:
    def fail(_: Cores) -> None:
        raise ValueError("mine")

    def leave(_: Cores) -> None:
        raise SystemExit(3)

    with Scheduler([0]) as scheduler:
        failing = [scheduler.submit(work, task="a") for work in (fail, leave)]
        fine = [scheduler.submit(lambda cores: cores, task="a") for _ in range(3)]
    assert [type(one.exception()) for one in failing] == [ValueError, SystemExit]
    assert [one.result() for one in fine] == [(0,)] * 3


def test_work_for_which_there_is_no_thread_fails_and_keeps_no_core() -> None:
    with Scheduler([0]) as scheduler:
        threading.stack_size(1 << 52)
        try:
            failed = scheduler.submit(lambda cores: cores, task="a")
        finally:
            threading.stack_size(0)
        assert isinstance(failed.exception(LONG_S), RuntimeError)
        assert scheduler.submit(lambda cores: cores, task="a").result(LONG_S) == (0,)


def test_leaving_waits_for_all_work() -> None:
    done: list[int] = []
    with Scheduler([0, 1]) as scheduler:
        for number in range(10):
            scheduler.submit(lambda _, n=number: done.append(n), task="a")
    assert sorted(done) == list(range(10))
    with pytest.raises(UsageError, match="closed"):
        scheduler.submit(lambda _: None, task="a")
    scheduler.close()


def test_leaving_by_an_exception_cancels_what_waits_and_tells_what_runs() -> None:
    told, began = threading.Event(), threading.Event()
    waiting: list[Future[None]] = []

    def work(_: Cores) -> str:
        began.set()
        return "was told" if told.wait(LONG_S) else "waited in vain"

    with pytest.raises(RuntimeError, match="out"), Scheduler([0]) as scheduler:
        running = scheduler.submit(work, task="a", cancel=told)
        waiting += [scheduler.submit(lambda _: None, task=name) for name in "ab"]
        assert began.wait(LONG_S)
        raise RuntimeError("out")
    assert running.result() == "was told"
    assert [one.cancelled() for one in waiting] == [True, True]
    assert wait(waiting, LONG_S).not_done == set()


def test_whoever_waits_to_submit_learns_that_the_scheduler_is_closed(gate: Gate) -> None:
    refused = threading.Event()
    scheduler = Scheduler([0], waiting_at_most=1)
    scheduler.submit(gate, task="a")
    scheduler.submit(gate, task="a")

    def submit() -> None:
        try:
            scheduler.submit(gate, task="a")
        except UsageError:
            refused.set()

    submitter = threading.Thread(target=submit)
    submitter.start()
    closer = threading.Thread(target=scheduler.close)
    closer.start()
    assert refused.wait(LONG_S)
    gate.open.set()
    closer.join(LONG_S)
    assert not closer.is_alive()


@pytest.mark.parametrize("place", ["inside", "while leaving"])
def test_ctrl_c_ends_a_process_cleanly(place: str) -> None:
    code = f"""
import signal, threading
# A background job's child would ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
from ml_agent.compute import Scheduler
told, ran = threading.Event(), []
def work(_):
    told.wait(30)
    ran.append("whole")
try:
    with Scheduler([0]) as scheduler:
        futures = [scheduler.submit(work, task="a", cancel=told) for _ in range(3)]
        print("ready", flush=True)
        if {place == "inside"}: futures[-1].result()
except KeyboardInterrupt:
    for one in threading.enumerate():
        if one is not threading.current_thread(): one.join()
    print(ran, [one.cancelled() for one in futures])
"""
    call = [sys.executable, "-c", code]
    with subprocess.Popen(call, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "ready\n"
        child.send_signal(signal.SIGINT)
        assert child.stdout.read() == "['whole'] [False, True, True]\n"
    assert child.returncode == 0


@pytest.mark.parametrize("wrong", [{"cores": []}, {"waiting_at_most": 0}, {"at_once": -1}])
def test_a_scheduler_that_could_do_nothing_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(UsageError, match="can do nothing"):
        Scheduler(**wrong)  # type: ignore[arg-type]


def test_results_of_a_batch_come_in_order_of_submission() -> None:
    first_may_end = threading.Event()
    with Scheduler([0, 1]) as scheduler, Batch[int](scheduler) as batch:

        def work(_: Cores, number: int) -> int:
            if number == 0:
                assert first_may_end.wait(LONG_S)
            if number == 4:
                first_may_end.set()
            return number

        for number in range(5):
            batch.submit(lambda cores, n=number: work(cores, n), task="a", limits=Limits())
        assert list(batch.results()) == [0, 1, 2, 3, 4]


def test_nothing_of_a_batch_runs_after_it_was_left(gate: Gate) -> None:
    ended: list[str] = []

    def slow(_: Cores) -> None:
        time.sleep(0.1)
        ended.append("running")

    with Scheduler([0]) as scheduler:
        with pytest.raises(RuntimeError, match="out"), Batch[None](scheduler) as batch:
            batch.submit(slow, task="a", limits=Limits())
            batch.submit(lambda _: ended.append("waiting"), task="a", limits=Limits())
            raise RuntimeError("out")
        assert ended == ["running"]


def test_a_batch_takes_back_what_has_not_begun_and_lets_the_rest_end(gate: Gate) -> None:
    with Scheduler([0]) as scheduler, Batch[Cores](scheduler) as batch:
        batch.submit(gate, task="a", limits=Limits())
        batch.submit(gate, task="a", limits=Limits())
        batch.cancel()
        assert [future.cancelled() for future in batch.futures] == [False, True]
        gate.open.set()
        assert batch.futures[0].result(LONG_S) == (0,)
    assert gate.began == ["first"]


def until(met: Callable[[], bool]) -> None:
    ends = time.monotonic() + LONG_S
    while not met():
        assert time.monotonic() < ends
        time.sleep(0.01)


def test_work_that_waits_for_something_else_takes_no_place_meanwhile() -> None:
    known = threading.Event()

    def first() -> str:
        assert known.wait(LONG_S)
        return "known"

    def told(_: Cores) -> str:
        known.set()
        return "other"

    with Scheduler([0]) as scheduler, Batch[str](scheduler) as batch:
        batch.submit_after(first, lambda said, _: said, task="a", limits=Limits())
        batch.submit(told, task="a", limits=Limits())
        assert list(batch.results()) == ["known", "other"]


def test_what_is_not_to_be_known_fails_by_itself() -> None:
    def first() -> str:
        raise ValueError("not to be known")

    with Scheduler([0]) as scheduler, Batch[str](scheduler) as batch:
        batch.submit_after(first, lambda said, _: said, task="a", limits=Limits())
        batch.submit(lambda _: "other", task="a", limits=Limits())
        with pytest.raises(ValueError, match="not to be known"):
            batch.futures[0].result(LONG_S)
        assert batch.futures[1].result(LONG_S) == "other"


@pytest.mark.parametrize("waits_for", ["what comes first", "its place"])
def test_work_that_follows_is_taken_back_wherever_it_waits(gate: Gate, waits_for: str) -> None:
    known, asked = threading.Event(), threading.Event()

    def first() -> str:
        asked.set()
        assert known.wait(LONG_S)
        return "known"

    with Scheduler([0]) as scheduler:
        with Batch[Cores](scheduler) as batch:
            batch.submit(gate, task="a", limits=Limits())
            batch.submit_after(
                first, lambda said, cores: gate(cores, said), task="a", limits=Limits()
            )
            assert asked.wait(LONG_S)
            if waits_for == "its place":
                known.set()
                until(lambda: scheduler._backlog() == 1)
            batch.cancel()
            assert [future.cancelled() for future in batch.futures] == [False, True]
            # Whoever waits for it waits for what comes first.
            assert bool(wait(batch.futures[1:], timeout=0).done) == (waits_for == "its place")
            known.set()
            gate.open.set()
        # What came first was waited for, and nothing followed it.
        assert all(future.done() for future in batch.futures)
        assert gate.began == ["first"]


def test_work_that_has_followed_goes_on(gate: Gate) -> None:
    with Scheduler([0]) as scheduler, Batch[Cores](scheduler) as batch:
        batch.submit_after(
            lambda: "known", lambda said, cores: gate(cores, said), task="a", limits=Limits()
        )
        until(lambda: gate.began == ["known"])
        batch.cancel()
        assert not batch.futures[0].cancelled()
        gate.open.set()
        assert batch.futures[0].result(LONG_S) == (0,)


def test_a_batch_that_is_left_waits_for_what_comes_first() -> None:
    ended: list[str] = []

    def first() -> None:
        time.sleep(0.2)
        ended.append("first")

    with Scheduler([0]) as scheduler:
        with pytest.raises(RuntimeError, match="out"), Batch[None](scheduler) as batch:
            batch.submit_after(first, lambda _, __: ended.append("work"), task="a", limits=Limits())
            raise RuntimeError("out")
        assert ended == ["first"]

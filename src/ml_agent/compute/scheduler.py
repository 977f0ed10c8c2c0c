"""This machine's cores and memory, shared out among many experiments.

Covered: as many at once as cores and memory allow, each on cores of its own; tasks take turns, and
within a task the first come is served first; who submits too fast waits; a failure is its own
`Future`'s, and no other's. Not covered: other programs on the same cores, and what they take of
the memory later.
"""

import os
import threading
from collections import OrderedDict, deque
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, wait
from dataclasses import dataclass, field
from functools import partial
from types import TracebackType
from typing import Any, Generic, Self, TypeVar

from ml_agent.compute.machine import free_memory_bytes
from ml_agent.core.errors import UsageError
from ml_agent.core.records import Limits

Cores = tuple[int, ...]
"""Numbers of processor cores."""

S = TypeVar("S")
T = TypeVar("T")

MEMORY_MARGIN_MIB = 1024
"""Of what is free at the start, left to ourselves and to the system."""


@dataclass(eq=False, kw_only=True)
class _Job:
    """One piece of work, from `submit` to its end."""

    work: Callable[[Cores], Any]
    task: str
    threads: int
    memory_mib: int
    cancel: threading.Event | None
    future: Future[Any] = field(default_factory=Future)
    cores: Cores = ()


class Scheduler:
    """Runs work on this machine, each piece on cores of its own. Share it between threads.

    The next piece is the oldest of the task whose turn it is. It waits until there are cores and
    memory for it, and nothing overtakes it, so that no large piece waits for ever. Work may not
    submit work and wait for it: both would wait.

    Left by an exception (Ctrl-C is one), it cancels what has not begun, tells what runs if it was
    given an event for that, and waits for it. Left otherwise, it waits until everything is done.
    """

    def __init__(
        self,
        cores: Collection[int] | None = None,
        memory_mib: int | None = None,
        *,
        at_once: int | None = None,
        waiting_at_most: int = 256,
    ) -> None:
        """Take a share of the machine; nothing is started before something is submitted.

        Args:
            cores: Which cores to share out; None: all that this process may use.
            memory_mib: How much memory; None: what is free now, less `MEMORY_MARGIN_MIB`.
            at_once: At most so many pieces at the same time; None or 0: as many as there is room
                for.
            waiting_at_most: How many pieces may wait; then `submit` waits itself.

        Raises:
            UsageError: There is no core, or a count makes no sense.
        """
        numbers = os.sched_getaffinity(0) if cores is None else set(cores)
        if not numbers or waiting_at_most < 1 or (at_once or 0) < 0:
            raise UsageError(
                f"a scheduler of {len(numbers)} cores, {at_once} pieces of work at once and "
                f"{waiting_at_most} waiting can do nothing: give one core, and 1 waiting, at least"
            )
        self._count = len(numbers)
        self._at_once = at_once or self._count
        self._waiting_at_most = waiting_at_most
        self._free = deque(sorted(numbers))
        self._memory_mib = (
            max(0, free_memory_bytes() // 2**20 - MEMORY_MARGIN_MIB)
            if memory_mib is None
            else memory_mib
        )
        self._waiting: OrderedDict[str, deque[_Job]] = OrderedDict()
        self._running: set[_Job] = set()
        self._closed = False
        self._changed = threading.Condition()

    def __enter__(self) -> Self:
        """Nothing is started yet."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Close it."""
        self.close(cancel=kind is not None)

    def submit(
        self,
        work: Callable[[Cores], T],
        *,
        task: str,
        threads: int = 1,
        memory_mib: int = 0,
        cancel: threading.Event | None = None,
    ) -> "Future[T]":
        """Have work done as soon as it is its turn; waits while too much is waiting already.

        Args:
            work: Called in a thread of its own with the cores it has to itself.
            task: Whose turn it takes.
            threads: How many cores it wants; all of them, if there are fewer.
            memory_mib: How much memory it may come to use. What never fits runs alone.
            cancel: Set when the work is to stop though it has begun.

        Returns:
            Its result or exception, to come. `cancel()` takes back what has not begun.

        Raises:
            UsageError: The scheduler is closed.
        """
        future: Future[T] = Future()
        job = _Job(
            work=work,
            task=task,
            threads=min(max(1, threads), self._count),
            memory_mib=memory_mib,
            cancel=cancel,
            future=future,
        )
        with self._changed:
            self._changed.wait_for(lambda: self._closed or self._backlog() < self._waiting_at_most)
            if self._closed:
                raise UsageError(f"work on {task} was submitted to a scheduler that is closed")
            self._waiting.setdefault(task, deque()).append(job)
            self._start_what_fits()
        future.add_done_callback(lambda done: self._take_back(job) if done.cancelled() else None)
        return future

    def close(self, *, cancel: bool = False) -> None:
        """Take nothing more and wait until all is done. Calling it twice is harmless.

        Args:
            cancel: Cancel what has not begun, and tell what runs.
        """
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        if cancel:
            self._cancel_all()
        try:
            with self._changed:
                self._changed.wait_for(lambda: not self._running and not self._waiting)
        except BaseException:
            # Ctrl-C while waiting: what has not begun shall not begin any more.
            self._cancel_all()
            raise

    def _cancel_all(self) -> None:
        with self._changed:
            dropped = [job for queue in self._waiting.values() for job in queue]
            self._waiting.clear()
            for job in self._running:
                if job.cancel is not None:
                    job.cancel.set()
            self._changed.notify_all()
        for job in dropped:
            job.future.cancel()
            job.future.set_running_or_notify_cancel()

    def _backlog(self) -> int:
        return sum(len(queue) for queue in self._waiting.values())

    def _start_what_fits(self) -> None:
        """Start pieces in turn while there is room. The lock is held."""
        while self._waiting:
            job = next(iter(self._waiting.values()))[0]
            if not self._has_room(job):
                return
            # False: it was cancelled a moment ago, and this tells whoever waits for it.
            goes = job.future.set_running_or_notify_cancel()
            self._leaves(job, served=goes)
            if goes:
                self._start(job)

    def _start(self, job: _Job) -> None:
        job.cores = tuple(self._free.popleft() for _ in range(job.threads))
        self._running.add(job)
        try:
            threading.Thread(target=self._do, args=(job,), name=f"work on {job.task}").start()
        except RuntimeError as error:
            # The machine has no thread left: this one's failure, and the others wait for nothing.
            self._ended(job)
            job.future.set_exception(error)

    def _leaves(self, job: _Job, *, served: bool) -> None:
        """Take a piece out of the queue of its task, which has had its turn if it was served."""
        queue = self._waiting[job.task]
        queue.remove(job)
        if not queue:
            del self._waiting[job.task]
        elif served:
            self._waiting.move_to_end(job.task)
        self._changed.notify_all()

    def _ended(self, job: _Job) -> None:
        self._running.remove(job)
        self._free.extend(job.cores)
        self._changed.notify_all()

    def _has_room(self, job: _Job) -> bool:
        taken = sum(other.memory_mib for other in self._running)
        return not self._running or (
            len(self._running) < self._at_once
            and job.threads <= len(self._free)
            and taken + job.memory_mib <= self._memory_mib
        )

    def _do(self, job: _Job) -> None:
        _settle(job.future, job.work, job.cores)
        with self._changed:
            self._ended(job)
            self._start_what_fits()

    def _take_back(self, job: _Job) -> None:
        """Forget a piece that was cancelled; whoever waited behind it moves up."""
        with self._changed:
            if job in self._waiting.get(job.task, ()):
                self._leaves(job, served=False)
                job.future.set_running_or_notify_cancel()
                self._start_what_fits()


class Batch(Generic[T]):
    """Experiments whose results are wanted together, in a `with` statement.

    However the block is left, nothing of it runs afterwards: what has not begun is cancelled, and
    what runs is waited for.

    Attributes:
        futures: Of every experiment, in the order of submission.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        """Begin an empty batch."""
        self._scheduler = scheduler
        self.futures: list[Future[T]] = []
        self._followed: list[Future[None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cancel()
        wait(self.futures)

    def cancel(self) -> None:
        """Take back what has not begun; what runs goes on."""
        for future in self.futures:
            future.cancel()
        for follows in list(self._followed):
            follows.cancel()

    def submit(self, work: Callable[[Cores], T], *, task: str, limits: Limits) -> None:
        """Have an experiment run with the cores and the memory that its limits name.

        See `Scheduler.submit`.
        """
        self.futures.append(self._submit(work, task, limits))

    def submit_after(
        self,
        first: Callable[[], S],
        work: Callable[[S, Cores], T],
        *,
        task: str,
        limits: Limits,
    ) -> None:
        """Have an experiment run once something is known that needs no core of this machine.

        Args:
            first: Called in a thread of its own; meanwhile nothing is taken from others.
            work: Is given what `first` returned; not begun if that raised, or if all was cancelled.
            task: See `Scheduler.submit`.
            limits: As for `submit`.
        """
        future: Future[T] = Future()
        self.futures.append(future)

        def go_on() -> None:
            try:
                known = first()
                if not future.cancelled():
                    follows = self._submit(
                        partial(_into, future, partial(work, known)), task, limits
                    )
                    self._followed.append(follows)
                    follows.add_done_callback(ended)
                    if future.cancelled():
                        follows.cancel()
                    return
            except BaseException as error:  # noqa: BLE001 - handed on to whoever asks for the result
                if future.set_running_or_notify_cancel():
                    future.set_exception(error)
                return
            future.set_running_or_notify_cancel()

        def ended(follows: Future[None]) -> None:
            # Taken back before it began, so that nobody else tells those who wait.
            if follows.cancelled() and (future.cancel() or future.cancelled()):
                future.set_running_or_notify_cancel()

        try:
            threading.Thread(target=go_on, name=f"before work on {task}").start()
        except RuntimeError as error:  # The machine has no thread left.
            future.set_exception(error)

    def _submit(self, work: Callable[[Cores], S], task: str, limits: Limits) -> "Future[S]":
        return self._scheduler.submit(
            work, task=task, threads=limits.threads, memory_mib=limits.memory_mib
        )

    def results(self) -> Iterator[T]:
        """The results in the order of submission, each as soon as it and those before are there.

        Raises:
            BaseException: What the work raised.
        """
        for future in self.futures:
            yield future.result()


def _into(future: Future[T], work: Callable[[Cores], T], cores: Cores) -> None:
    """Do work for another future than the scheduler's, unless that was cancelled."""
    if future.set_running_or_notify_cancel():
        _settle(future, work, cores)


def _settle(future: Future[T], work: Callable[[Cores], T], cores: Cores) -> None:
    """Do work for a future that is running."""
    try:
        future.set_result(work(cores))
    except BaseException as error:  # noqa: BLE001 - handed on to whoever asks for the result
        future.set_exception(error)

"""Forked workers: each judges one mutant in a copy of a process that has imported everything."""

from __future__ import annotations

import gc
import math
import os
import resource
import signal
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

_FORK = get_context("fork")
_MEMORY = 8 * 2**30  # bytes; a mutant may ask for any amount
PATIENCE = 20


@dataclass(frozen=True)
class Task:
    """A call for a worker, and what it may take.

    Attributes
    ----------
    key
        What the result is filed under.
    call
        Takes nothing, returns what can be pickled.
    seconds
        Of processor time, after which it is stopped; of waiting it may take `PATIENCE` times as
        many. So a busy machine does not decide.
    """

    key: Any
    call: Callable[[], Any]
    seconds: float


@dataclass(frozen=True)
class Result:
    """What came of a task: a value, or the word "timeout" or "crash"."""

    key: Any
    value: Any
    problem: str = ""


def _work(call: Callable[[], Any], seconds: float, pipe: Connection) -> None:
    os.setsid()  # so that what it starts ends with it
    limit = math.ceil(seconds)
    resource.setrlimit(resource.RLIMIT_CPU, (limit, limit + 5))
    resource.setrlimit(resource.RLIMIT_DATA, (_MEMORY, _MEMORY))
    with open(os.devnull, "w", encoding="utf-8") as nowhere:
        os.dup2(nowhere.fileno(), 1)
        os.dup2(nowhere.fileno(), 2)
    sys.stdout = sys.stderr = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    pipe.send(call())
    pipe.close()
    os._exit(0)  # no time for the destructors of a process that has done its work


def _start(task: Task) -> tuple[BaseProcess, Connection, float]:
    receiver, sender = _FORK.Pipe(duplex=False)
    process = _FORK.Process(target=_work, args=(task.call, task.seconds, sender))
    process.start()
    sender.close()
    return process, receiver, time.monotonic() + PATIENCE * task.seconds


def _stop(process: BaseProcess) -> None:
    if process.pid is not None and process.is_alive():
        os.killpg(process.pid, 9)
    process.join()


def run(tasks: Iterable[Task], jobs: int) -> Iterator[Result]:
    """Run tasks in forked workers, and yield each result as it comes.

    Parameters
    ----------
    tasks
        What to do.
    jobs
        How many at a time.
    """
    gc.collect()
    gc.freeze()  # the collector of a worker would otherwise copy every page of its parent
    waiting = iter(tasks)
    running: dict[Any, tuple[Task, BaseProcess, Connection, float]] = {}

    def fill() -> None:
        while len(running) < jobs and (task := next(waiting, None)) is not None:
            process, receiver, deadline = _start(task)
            running[receiver] = (task, process, receiver, deadline)

    try:
        fill()
        while running:
            ready = wait(list(running), timeout=0.5)
            late = [r for r, (*_, deadline) in running.items() if time.monotonic() > deadline]
            for receiver in {*ready, *late}:
                task, process, pipe, _ = running.pop(receiver)
                yield _result(task, process, pipe, in_time=receiver in ready)
                _stop(process)
            fill()
    finally:
        for _, process, _, _ in running.values():
            _stop(process)


def _result(task: Task, process: BaseProcess, pipe: Connection, in_time: bool) -> Result:
    if not in_time:
        return Result(task.key, None, "timeout")
    try:
        return Result(task.key, pipe.recv())
    except EOFError:
        process.join()
        stopped = process.exitcode in (-signal.SIGXCPU, -signal.SIGKILL)
        return Result(task.key, None, "timeout" if stopped else "crash")

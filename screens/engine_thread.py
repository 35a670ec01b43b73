"""The one thread in which the engine works, and the ways from it to the app.

It belongs to the app and not to a screen: a screen that goes must not take running work with it.
"""

from __future__ import annotations

import contextlib
import queue
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, InvalidStateError

from screens.messages import Call, EngineAsked, EngineReplied, EngineSpoke, Post
from wizard.events import Answer, Ask, Event, HostKey, NeedSecret, Question


class EngineThread:
    """Works through calls one after the other; it never keeps the process alive."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._calls: queue.SimpleQueue[Call | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="engine", daemon=True)
        self._thread.start()

    def submit(self, call: Call) -> None:
        self._calls.put(call)

    def finish(self, seconds: float) -> None:
        """No more calls; waits that long for the one that runs."""
        self._calls.put(None)
        self._thread.join(seconds)

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            try:
                result, error = call.work(), None
            except BaseException as caught:  # the app's thread decides what it means
                result, error = None, caught
            self._post(EngineReplied(call, result, error))


def aside(work: Callable[[], None]) -> threading.Thread:
    """Runs `work` in a thread of its own: the calls that reach an engine which is busy."""
    thread = threading.Thread(target=work, name="engine-aside", daemon=True)
    thread.start()
    return thread


class Feed:
    """The engine's observer: keeps events until the app takes them, and wakes it up."""

    def __init__(self, post: Post) -> None:
        self._post = post
        self._events: deque[Event] = deque()
        self._told = False

    def observe(self, event: Event) -> None:
        self._events.append(event)
        if not self._told:
            self._told = True
            self._post(EngineSpoke())

    def take(self) -> list[Event]:
        self._told = False
        taken: list[Event] = []
        while self._events:
            taken.append(self._events.popleft())
        return taken


def unanswered(question: Question) -> Answer:
    """Nothing was given beforehand."""
    return None


class Asker:
    """The engine's `ask`: blocks the asking thread until somebody answers, or the app goes (None).

    `given` knows host keys and secrets that came with the command line; all else only the owner can answer.
    """

    def __init__(self, post: Post, given: Ask = unanswered) -> None:
        self._post, self._given = post, given
        self._lock = threading.Lock()
        self._open: set[Future[Answer]] = set()
        self._closed = False

    def ask(self, question: Question) -> Answer:
        if isinstance(question, HostKey | NeedSecret) and (known := self._given(question)) is not None:
            return known
        answer: Future[Answer] = Future()
        with self._lock:
            if self._closed:
                return None
            self._open.add(answer)
        if not self._post(EngineAsked(question, answer)):
            return None
        try:
            return answer.result()
        finally:
            self._open.discard(answer)

    def close(self) -> None:
        """Nobody is here to answer any more."""
        with self._lock:
            self._closed = True
        self.let_go()

    def let_go(self) -> None:
        """Whoever waits now waits in vain."""
        with self._lock:
            waiting = list(self._open)
        for answer in waiting:
            settle(answer, None)


def settle(answer: Future[Answer], value: Answer) -> None:
    """Gives the answer, unless there is one."""
    with contextlib.suppress(InvalidStateError):
        answer.set_result(value)

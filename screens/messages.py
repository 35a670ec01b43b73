"""How other threads reach the screens: three messages to the app, and no other way."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from textual.message import Message

from wizard.events import Answer, Question


class EngineSpoke(Message):
    """Events wait to be drawn; many of these at once are one."""

    def can_replace(self, message: Message) -> bool:
        return isinstance(message, EngineSpoke)


class EngineAsked(Message):
    """A thread of the engine waits on `answer`."""

    def __init__(self, question: Question, answer: Future[Answer]) -> None:
        super().__init__()
        self.question, self.answer = question, answer


@dataclass(frozen=True)
class Call:
    """Work for the engine's thread; what comes of it is told to the app's thread."""

    words: str
    """What is going on, for whoever waits: "looking at the hosts"."""
    work: Callable[[], Any]
    then: Callable[[Any], None]
    failed: Callable[[BaseException], None]


class EngineReplied(Message):
    def __init__(self, call: Call, result: Any, error: BaseException | None) -> None:
        super().__init__()
        self.call, self.result, self.error = call, result, error


Post = Callable[[Message], bool]
"""`App.post_message`: False once the app is gone."""

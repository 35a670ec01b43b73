"""The engine's thread, its questions and its events, without any screen."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

from screens.engine_thread import Asker, EngineThread, Feed, settle
from screens.messages import Call, EngineReplied, EngineSpoke
from wizard.events import Choose, HostKey, Note

QUESTION = HostKey("hypervisor", "192.168.182.100", "ssh-ed25519", "SHA256:x")


def nothing(result):
    pass


def test_calls_are_worked_through_in_order():
    replies, done = [], threading.Event()

    def post(message):
        assert isinstance(message, EngineReplied)
        replies.append((message.result, type(message.error)))
        if len(replies) == 3:
            done.set()
        return True

    thread = EngineThread(post)
    for work in (lambda: 1, lambda: 1 / 0, lambda: 3):
        thread.submit(Call("", work, nothing, nothing))
    assert done.wait(5)
    assert replies == [(1, type(None)), (None, ZeroDivisionError), (3, type(None))]
    thread.finish(5)


def test_many_events_wake_the_app_once():
    posted = []
    feed = Feed(lambda message: posted.append(message) is None)
    for number in range(1000):
        feed.observe(Note(str(number)))
    assert len(posted) == 1
    assert [event.text for event in feed.take()] == [str(number) for number in range(1000)]
    feed.observe(Note("more"))
    assert len(posted) == 2
    assert EngineSpoke().can_replace(EngineSpoke())


def test_a_question_waits_for_its_answer():
    asked = []
    asker = Asker(lambda message: asked.append(message) is None)
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(asker.ask, QUESTION)
        while not asked:
            threading.Event().wait(0.001)
        assert not waiting.done()
        settle(asked[0].answer, True)
        settle(asked[0].answer, False)
        assert waiting.result(5) is True


def test_nobody_waits_for_an_app_that_goes():
    asked = threading.Event()
    asker = Asker(lambda message: not asked.set())
    with ThreadPoolExecutor() as pool:
        waiting = pool.submit(asker.ask, QUESTION)
        assert asked.wait(5)
        asker.close()
        assert waiting.result(5) is None
    assert asker.ask(QUESTION) is None


def test_what_was_given_beforehand_is_not_asked_but_consent_is():
    asked = []
    asker = Asker(lambda message: asked.append(message) is not None, lambda question: True)
    assert asker.ask(QUESTION) is True
    assert not asked
    assert asker.ask(Choose("Which?", "", (("a", "A"),))) is None
    assert len(asked) == 1


def test_nobody_waits_where_no_app_is():
    assert Asker(lambda message: False).ask(QUESTION) is None

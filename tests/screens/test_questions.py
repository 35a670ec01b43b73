"""Every question of the engine, answered by keyboard and by mouse."""

from __future__ import annotations

import logging
from concurrent.futures import Future

from textual.widgets import Button

from screens.dialogs import Dialog, Reply
from screens.guard import GuardDialog
from screens.messages import EngineAsked
from tests.screens.conftest import SMALL
from tests.screens.scripted import CUTS, SPAN, Stand, finished, planned
from wizard.events import Approve, Choose, HostKey, KeepOrRevert, NeedSecret, ProbeResult, SecretKind
from wizard.model import Risk, Secret

KEY = HostKey("hypervisor", "192.168.182.100", "ssh-ed25519", "SHA256:nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8")
SUDO = NeedSecret("hypervisor", SecretKind.SUDO, "owner")
APPROVE = Approve((planned(SPAN, "hypervisor", CUTS),), Risk.MAY_CUT_SSH, "the plan has changed")
DESTROY = Approve((planned(SPAN, "hypervisor", CUTS),), Risk.DESTROYS_DATA, destroys="aki0")
CHOOSE = Choose("Which?", "Both are there.", (("first", "The first"), ("second", "The second")))
KEEP = KeepOrRevert(SPAN.id, "hypervisor", "hypervisor", 60, "192.168.182.100", (ProbeResult("gateway", True, True),))
FAILS = KeepOrRevert(SPAN.id, "hypervisor", "hypervisor", 60, "192.168.182.100", (ProbeResult("gateway", False, True),))
LOST = KeepOrRevert(SPAN.id, "hypervisor", "hypervisor", 60, "", ())


async def asked(wizard, question):
    answer: Future = Future()
    wizard.app.post_message(EngineAsked(question, answer))
    await wizard.until(lambda: isinstance(wizard.screen, Dialog | GuardDialog) and wizard.screen.query(Button))
    return answer


BY_KEYS = [
    (KEY, ["enter"], False),
    (KEY, ["escape"], False),
    (KEY, ["tab", "enter"], True),
    (APPROVE, ["enter"], False),
    (APPROVE, ["tab", "enter"], True),
    (DESTROY, [*"aki", "enter", "escape"], False),
    (DESTROY, [*"aki0", "enter"], True),
    (CHOOSE, ["enter"], "first"),
    (CHOOSE, ["tab", "enter"], "second"),
    (CHOOSE, ["escape"], None),
    (KEEP, ["enter", "tab", "enter"], False),
    (KEEP, ["escape", "tab", "tab", "enter"], True),
]


async def test_by_keyboard_alone(ride):
    async with ride() as wizard:
        for question, keys, expected in BY_KEYS:
            answer = await asked(wizard, question)
            await wizard.pilot.press(*keys)
            await wizard.until(answer.done)
            assert answer.result() is expected or answer.result() == expected, (question, keys)


async def test_by_mouse(ride):
    async with ride() as wizard:
        for question, button, expected in [
            (KEY, "#choice-1", True),
            (APPROVE, "#choice-1", True),
            (CHOOSE, "#choice-1", "second"),
            (KEEP, "#keep", True),
            (KEEP, "#revert", False),
        ]:
            answer = await asked(wizard, question)
            await wizard.pilot.click(button)
            await wizard.until(answer.done)
            assert answer.result() == expected, question


async def test_what_the_questions_say(ride):
    async with ride() as wizard:
        for question, words in [
            (
                KEY,
                ["SHA256:nThbg6kXUpJWGl7E1IGOCspRomTxdCARLviKw6E5SY8", "ssh_host_ed25519_key.pub", "192.168.182.100"],
            ),
            (NeedSecret("h", SecretKind.KEY_PASSPHRASE, "~/.ssh/id", 2), ["~/.ssh/id", "attempt 2"]),
            (APPROVE, ["may cut the connection", "the plan has changed", "+Name=br0", "guarded"]),
            (DESTROY, ["destroys data", "Type aki0"]),
            (KEEP, ["192.168.182.100", "holds", "60 s"]),
            (FAILS, ["FAILS", "does not hold now"]),
            (LOST, ["will be undone"]),
        ]:
            await asked(wizard, question)
            text = wizard.text()
            assert all(word in text for word in words), (question, text)
            wizard.app.pop_screen()
            await wizard.pilot.pause()


async def test_a_password_is_a_secret_and_is_seen_nowhere(ride, caplog, capsys, tmp_path):
    caplog.set_level(logging.DEBUG)
    async with ride() as wizard:
        answer = await asked(wizard, SUDO)
        await wizard.pilot.press(*"hunter2")
        assert "hunter2" not in wizard.app.export_screenshot()
        await wizard.pilot.press("enter")
        await wizard.until(answer.done)
        secret = answer.result()
        assert isinstance(secret, Secret)
        assert secret.reveal() == "hunter2"
    assert "hunter2" not in repr(Reply("yes", "hunter2"))
    assert "hunter2" not in caplog.text + str(capsys.readouterr())
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and "hunter2" in path.read_text()]


async def test_nothing_is_kept_without_a_connection(ride):
    async with ride() as wizard:
        answer = await asked(wizard, LOST)
        assert wizard.screen.query_one("#keep", Button).disabled
        await wizard.pilot.press("tab", "tab", "tab", "enter")
        await wizard.until(answer.done)
        assert answer.result() is False


async def test_silence_reverts(ride):
    async with ride() as wizard:
        answer = await asked(wizard, KEEP)
        wizard.clock.seconds += 59
        await wizard.until(lambda: " 1 s." in wizard.text())
        assert not answer.done()
        wizard.clock.seconds += 2
        await wizard.until(answer.done)
        assert answer.result() is None
        await wizard.until(lambda: not isinstance(wizard.screen, GuardDialog))


async def test_silence_reverts_below_another_dialog_too(ride):
    async with ride() as wizard:
        answer = await asked(wizard, KEEP)
        other = await asked(wizard, KEY)
        await wizard.until(lambda: isinstance(wizard.screen, Dialog))
        wizard.clock.seconds += 61
        await wizard.until(answer.done)
        assert answer.result() is None
        await wizard.pilot.press("escape")
        await wizard.until(other.done)
        await wizard.until(lambda: not isinstance(wizard.screen, GuardDialog))


async def test_the_answer_reaches_the_engine(ride, stand: Stand):
    answers = []

    def apply(engine, names):
        answers.append(engine.ask(APPROVE))
        engine.begin()
        answers.append(engine.ask(KEEP))
        return engine.end(finished(SPAN))

    stand.apply = apply
    stand.says(SPAN, CUTS)
    async with ride() as wizard:
        await wizard.at(SPAN)
        await wizard.pilot.press("f4")
        await wizard.until(lambda: isinstance(wizard.screen, Dialog))
        await wizard.pilot.press("tab", "enter")
        await wizard.until(lambda: isinstance(wizard.screen, GuardDialog))
        await wizard.pilot.click("#keep")
        await wizard.until(lambda: len(answers) == 2)
        assert answers == [True, True]
        assert stand.engine.called("apply")[0][2] is None


async def test_every_question_at_every_size(ride):
    async with ride() as wizard:
        for size in SMALL[1:]:
            await wizard.pilot.resize_terminal(*size)
            for question in (KEY, SUDO, APPROVE, DESTROY, CHOOSE, KEEP, LOST):
                await asked(wizard, question)
                wizard.app.pop_screen()

"""Each question of the engine as a dialog, and the dialog's reply as the engine's answer."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from textual.screen import ModalScreen

from screens.dialogs import Choice, Dialog, Entry, Reply
from screens.guard import Clock, GuardDialog
from screens.preview import approval
from wizard.events import Answer, Approve, Choose, HostKey, KeepOrRevert, NeedSecret, Question, SecretKind
from wizard.model import Secret

Settle = Callable[[Answer], None]

HOST_KEY = """\
The wizard has not met {host} ({address}) before. It shows this {type} key:

  {fingerprint}

Compare it on the machine itself:
  ssh-keygen -lf /etc/ssh/ssh_host_{file}_key.pub
If it differs, somebody else may be answering."""

SECRETS = {
    SecretKind.SUDO: ("Password for sudo", "{about} on {host} needs a password for sudo."),
    SecretKind.SSH_PASSWORD: ("Password for SSH", "{host} asks for the password of {about}."),
    SecretKind.KEY_PASSPHRASE: ("Passphrase of a key", "The key {about}, for {host}, is protected by a passphrase."),
}
AGAIN = "\n\nThat was not it. This is attempt {attempt}."
KEPT = "\n\nIt is kept in memory until you quit, and never written anywhere."

NO, YES = "no", "yes"


def dialog_for(question: Question, clock: Clock, settle: Settle) -> ModalScreen[Any]:
    """A dialog that gives its answer to `settle`."""
    match question:
        case KeepOrRevert():
            return GuardDialog(question, clock, settle)
        case HostKey():
            return host_key(question, settle)
        case NeedSecret():
            return need_secret(question, settle)
        case Approve():
            return approve(question, settle)
        case Choose():
            return choose(question, settle)


def host_key(question: HostKey, settle: Settle) -> Dialog:
    text = HOST_KEY.format(
        host=question.host,
        address=question.address,
        type=question.key_type,
        fingerprint=question.fingerprint,
        file=question.key_type.removeprefix("ssh-").split("-")[0],
    )
    choices = [Choice(NO, "No, stop"), Choice(YES, "Yes, trust this key")]
    return Dialog("Is this the right machine?", text, choices, then=lambda reply: settle(_agreed(reply)))


def _agreed(reply: Reply | None) -> bool:
    return reply is not None and reply.key == YES


def need_secret(question: NeedSecret, settle: Settle) -> Dialog:
    title, text = SECRETS[question.kind]
    words = text.format(about=question.about, host=question.host)
    again = AGAIN.format(attempt=question.attempt) if question.attempt > 1 else ""
    choices = [Choice(NO, "Cancel"), Choice(YES, "Use it")]
    entry = Entry(title, secret=True)
    return Dialog(title, words + again + KEPT, choices, entry, lambda reply: settle(_secret(reply)))


def _secret(reply: Reply | None) -> Answer:
    return Secret(reply.typed) if reply is not None and _agreed(reply) else None


def approve(question: Approve, settle: Settle) -> Dialog:
    """Cancel is the default; what destroys data wants the name typed."""
    entry = Entry(f"Type {question.destroys} to go on:", must_be=question.destroys) if question.destroys else None
    choices = [Choice(NO, "Cancel"), Choice(YES, "Destroy it" if question.destroys else "Do it")]
    text = approval(question.planned, question.risk, question.changed)
    return Dialog("May this be done?", text, choices, entry, lambda reply: settle(_agreed(reply)))


def choose(question: Choose, settle: Settle) -> Dialog:
    choices = [Choice(key, label) for key, label in question.options]
    return Dialog(question.title, question.text, choices, then=lambda reply: settle(reply.key if reply else None))

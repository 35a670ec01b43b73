"""The one place that touches a private name of Textual.

Textual ends the app on an unexpected exception by printing a traceback with the values of all variables, secrets
included. There is no public way to say otherwise.
"""

from __future__ import annotations

from textual.app import App


class QuietApp(App[int]):
    """An app whose unexpected exceptions come to `unexpected` and are not printed."""

    def unexpected(self, error: Exception) -> None:
        raise NotImplementedError

    def _handle_exception(self, error: Exception) -> None:
        if self._exception is None:
            self._exception = error
            self._exception_event.set()
        self.unexpected(error)

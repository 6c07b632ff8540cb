"""How much a client may say before its login: commands, and bad ones among them.

Limits: `max_commands` and `max_errors` of the settings. Octets and time are counted where octets are read.
"""

from gateway.protocol.base import ServerSettings


class Budget:
    """Each `spend_…` says whether the session has to end now."""

    def __init__(self, settings: ServerSettings) -> None:
        self._commands_left = settings.max_commands
        self._errors_left = settings.max_errors

    def spend_command(self) -> bool:
        """One command more; the first that is over the budget ends the session, unread."""
        self._commands_left -= 1
        return self._commands_left < 0

    def spend_error(self) -> bool:
        """One bad command more; the last one of the budget ends the session."""
        self._errors_left -= 1
        return self._errors_left <= 0

"""What goes over one connection to a device, counted. All of it blocks, and belongs into a thread."""

import re
import time
from typing import Any, Final

_MOST_TEXT: Final = 4_000_000
_MOST_RETURNS: Final = 5
_PAUSE: Final = 0.01
_SILENCE: Final = (0.3, 1.0)
"""Who says nothing for so long has ended what it says; the more, the slower it is."""
_SPEAKS: Final = 5.0
"""Who says nothing at all for so long waits to be typed to."""
_GIVES_UP: Final = (2.0, 10.0)
"""What did not come in a silence of so many seconds does not come: one prompt, or several."""
_LONGEST: Final = 20.0
"""Seconds after which a device that is never silent is taken as it is."""


class Stream:
    """All that is read from and typed on a Netmiko connection, by Netmiko too.

    `text` is what came since the login, until it is to `forget`.

    Each line that is typed has one prompt for an answer.  Netmiko does not wait for all of them, and what a
    slow device says to one line would be taken for the end of what it says to the next.
    """

    def __init__(self, connection: Any) -> None:
        self.text = ""
        self._connection = connection
        self._read, self._write = connection.read_channel, connection.write_channel
        self._records = True
        self._lines = 0
        self._unbroken = 0
        self._slowness = 0.0
        self._last = 0.0
        connection.read_channel, connection.write_channel = self.read, self.write

    def read(self) -> str:
        """Return what has come, which may be nothing.

        Raises:
            EOFError: the connection was lost.
            OverflowError: there is no end to what it says.
        """
        connection, now = self._connection, time.monotonic()
        # One read at a time: who sends faster than this reads would be read for ever.
        connection.channel.read_channel = connection.channel.read_buffer
        kept = len(connection._read_buffer)  # noqa: SLF001  # what Netmiko put back, and was counted before
        text: str = self._read()
        new = text[kept:]
        if not new:
            channel = connection.remote_conn
            if channel is None or channel.closed or not channel.get_transport().is_active():
                raise EOFError("the connection was lost")
            return text
        self._unbroken += len(new)
        if self._unbroken > _MOST_TEXT:
            raise OverflowError(f"{_MOST_TEXT} characters came without an end")
        if self._last:
            self._slowness = max(self._slowness, now - self._last)
        self._last = now
        if self._records:
            self.text += new
        return text

    def write(self, text: str) -> None:
        """Type."""
        self._lines += text.count(self._connection.RETURN)
        self._unbroken, self._last = 0, time.monotonic()
        self._write(text)

    def find_prompt(self, fits: re.Pattern[str]) -> str:
        """Return the line that the device shows whenever it waits: one that fits, or that comes twice.

        Raises:
            ValueError: it shows none.
            EOFError, OverflowError: as `read`.
        """
        line = ""
        for _ in range(_MOST_RETURNS):
            again = self._hear()
            if again and (again == line or fits.search(self.text)):
                return again
            line = again
            self.write(self._connection.RETURN)
        raise ValueError("no line came twice")

    def _read_or_rest(self) -> None:
        if not self.read():
            time.sleep(_PAUSE)

    def _hear(self) -> str:
        """Read until silence, and return the last line."""
        start, begun = len(self.text), time.monotonic()
        while (now := time.monotonic()) < begun + 2 * _SPEAKS:
            shown = self.text[start:].strip()
            silence = min(max(self._slowness, _SILENCE[0]), _SILENCE[1]) if shown else _SPEAKS
            if now - (self._last if shown else begun) > silence:
                break
            self._read_or_rest()
        return self.text[start:].replace("\r", "\n").rstrip().rpartition("\n")[2].strip()

    def settle(self, prompt: re.Pattern[str] | None, *, unprompted: int = 0) -> None:
        """Wait until each line that was typed has its prompt, and the login its own where it shows one.

        `prompt` finds each in a text; None: they cannot be counted.  `unprompted` lines have none.

        Raises:
            EOFError, OverflowError: as `read`.
        """
        ends = time.monotonic() + _LONGEST
        while (now := time.monotonic()) < ends:
            wanted = self._lines + 1 - unprompted
            missing = wanted - len(prompt.findall(self.text)) if prompt else 1
            least = _GIVES_UP[missing > 1] if missing > 0 else _SILENCE[0]
            if now - self._last > min(max(least, 2 * self._slowness), _GIVES_UP[1]):
                return
            self._read_or_rest()

    def forget(self) -> None:
        """Keep no more of what comes."""
        self.text, self._records = "", False

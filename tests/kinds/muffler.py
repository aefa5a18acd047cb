"""A way to a server on which logins get no answer."""

import asyncio
from types import TracebackType
from typing import Self


class Muffler:
    """Passes bytes between a port on any of loopback's addresses and another; once `on`, it muffles new logins.

    A client has given its password with its `nth` message.  After that nothing more comes, or the connection
    `ends`.  `given` counts these.
    """

    def __init__(self, port: int, nth: int, *, ends: bool) -> None:
        self.on = False
        self.given = 0
        self._target = port
        self._nth = nth
        self._ends = ends
        self._tasks: set[asyncio.Task[None]] = set()

    @property
    def port(self) -> int:
        """The port that leads to the server."""
        return int(self._server.sockets[0].getsockname()[1])

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "0.0.0.0", 0)  # noqa: S104  # loopback has many
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            self._tasks.add(task)
        answers, onward = await asyncio.open_connection("127.0.0.1", self._target)
        muffled, said = self.on, 0

        async def pass_on() -> None:
            nonlocal said
            while data := await reader.read(65536):
                said += 1
                if muffled and said == self._nth:
                    self.given += 1
                    if self._ends:
                        writer.transport.abort()
                        return
                onward.write(data)

        async def pass_back() -> None:
            while data := await answers.read(65536):
                if not muffled or said < self._nth:
                    writer.write(data)

        try:
            await asyncio.wait(
                {asyncio.ensure_future(pass_on()), asyncio.ensure_future(pass_back())},
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            for one in (writer, onward):
                one.transport.abort()

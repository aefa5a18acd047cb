"""A way to a target that can be cut at any byte, as a network or a `kill -9` would."""

import asyncio
from types import TracebackType
from typing import Self


class Cutter:
    """Passes bytes between a port on loopback and a target, until it is cut: then nothing gets through.

    `passed` counts the bytes of both directions over all connections.
    """

    def __init__(self, address: str, port: int, *, after: int | None = None) -> None:
        self.passed = 0
        self._target = address, port
        self._after = after
        self._is_cut = asyncio.Event()
        self._writers: set[asyncio.StreamWriter] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    async def wait_closed(self) -> None:
        """Wait until no connection is open through it."""
        await asyncio.gather(*self._tasks)

    @property
    def port(self) -> int:
        """The port on 127.0.0.1 that leads to the target."""
        return int(self._server.sockets[0].getsockname()[1])

    def cut(self) -> None:
        """End every connection, and let none through any more."""
        self._is_cut.set()
        for writer in self._writers:
            writer.transport.abort()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.cut()
        self._server.close()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if task := asyncio.current_task():
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        self._writers.add(writer)
        try:
            if self._is_cut.is_set():
                return
            onward = await asyncio.open_connection(*self._target)
        except OSError:
            return
        finally:
            if self._is_cut.is_set():
                writer.transport.abort()
        self._writers.add(onward[1])
        if self._is_cut.is_set():
            self.cut()
        try:
            await asyncio.gather(self._pass(reader, onward[1]), self._pass(onward[0], writer))
        finally:
            for one in (writer, onward[1]):
                one.transport.abort()
                self._writers.discard(one)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65536):
                if self._after is not None and self.passed + len(data) >= self._after:
                    data = data[: self._after - self.passed]
                    writer.write(data)
                    self.passed += len(data)
                    await writer.drain()
                    await asyncio.sleep(0.01)  # what was passed gets there
                    self.cut()
                    return
                self.passed += len(data)
                writer.write(data)
                await writer.drain()
            writer.write_eof()
        except OSError:
            writer.transport.abort()  # a reset is passed on as one

"""How far a run is, on standard error: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Final, Self

if TYPE_CHECKING:
    from rich import progress

_SECONDS_BETWEEN_LINES: Final = 10.0


class Progress:
    """Counts accounts as they settle, of `total`; with `quiet`, only a terminal sees it."""

    def __init__(self, total: int, *, quiet: bool) -> None:
        self._total = total
        self._quiet = quiet
        self._counts: Counter[str] = Counter()
        self._began = self._told = time.monotonic()
        self._bar: progress.Progress | None = None
        self._task: progress.TaskID | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            from rich import progress
            from rich.console import Console

            self._bar = progress.Progress(
                progress.TextColumn("{task.description}"),
                progress.BarColumn(),
                progress.MofNCompleteColumn(),
                progress.TextColumn("{task.fields[rate]}"),
                progress.TimeRemainingColumn(),
                console=Console(stderr=True),
                transient=True,
            )
            self._bar.start()
            self._task = self._bar.add_task("working", total=self._total, rate="")
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar:
            self._bar.stop()
        elif not self._quiet and self._told > self._began:
            self._tell()

    def count(self, statuses: Iterable[str]) -> None:
        """Count accounts that have settled just now, by their statuses."""
        self.show(self._counts + Counter(statuses))

    def show(self, counts: Mapping[str, int]) -> None:
        """Show how many have settled so far, by status."""
        self._counts = Counter(counts)
        if self._bar is not None and self._task is not None:
            self._bar.update(
                self._task, completed=self._counts.total(), description=self._describe(), rate=self._rate()
            )
        elif not self._quiet and time.monotonic() - self._told > _SECONDS_BETWEEN_LINES:
            self._tell()

    def _tell(self) -> None:
        self._told = time.monotonic()
        sys.stderr.write(f"{self._counts.total()} of {self._total}, {self._rate()}: {self._describe()}\n")

    def _describe(self) -> str:
        return ", ".join(f"{count} {status}" for status, count in self._counts.most_common()) or "working"

    def _rate(self) -> str:
        return f"{self._counts.total() / max(time.monotonic() - self._began, 0.1):.1f}/s"

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Final, TypeVar

T = TypeVar("T")

CHUNK: Final = 500
"""How many things one query names: below SQLite's limit of parameters, and few round trips."""


def split(items: Iterable[T]) -> Iterator[list[T]]:
    """Yield `items` in lists of at most CHUNK."""
    rest = iter(items)
    while chunk := list(islice(rest, CHUNK)):
        yield chunk

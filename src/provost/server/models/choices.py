from collections.abc import Iterable
from enum import StrEnum


def list_choices(words: Iterable[StrEnum]) -> list[tuple[str, str]]:
    """Return the words of `provost.core.model` in the form that a Django field wants for its choices."""
    return [(word.value, word.value) for word in words]

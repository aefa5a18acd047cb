from collections.abc import Sequence

from provost.core.errors import Refused


def split_pairs(texts: Sequence[str]) -> dict[str, str]:
    """Split K=V options.

    Raises:
        Refused: one has no such form, or a name comes twice.
    """
    pairs: dict[str, str] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not name or not equals:
            raise Refused(f"{text!r} is not of the form NAME=VALUE.", code="usage")
        if name in pairs:
            raise Refused(f"{name} is given twice.", code="usage")
        pairs[name] = value
    return pairs

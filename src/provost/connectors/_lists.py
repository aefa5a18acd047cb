"""Lists that may be written as one text, as on the command line and in import files, for every kind.

The underscore keeps this module out of the list of kinds.
"""

from pydantic import BeforeValidator


def listed(by: str | None) -> BeforeValidator:
    """Return what takes a text apart at each `by` (None: at spaces), for pydantic."""

    def split(value: object) -> object:
        return [part.strip() for part in value.split(by) if part.strip()] if isinstance(value, str) else value

    return BeforeValidator(split)

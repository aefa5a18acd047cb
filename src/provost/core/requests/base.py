from typing import Annotated, Any, Self

from pydantic import AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, SecretStr, model_validator

Text = Annotated[str, Field(max_length=2000)]


Name = Annotated[str, Field(max_length=255)]


Flag = Annotated[bool, Field(strict=True)]


Many = Field(default=(), max_length=100_000)


def _refuse_numbers(given: Any) -> Any:
    """A number, or a text of one, is no instant: seconds and milliseconds are too easily confused."""
    if isinstance(given, int | float) or (isinstance(given, str) and "-" not in given[1:]):
        raise ValueError("an instant is written like 2026-01-31T12:00:00Z")
    return given


Instant = Annotated[AwareDatetime, BeforeValidator(_refuse_numbers)]


class Said(BaseModel):
    """What somebody says. What is not known is refused, so that no misspelt field is lost."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class SecretBody(Said):
    """A secret: a `password`, or an SSH `key` (private, or public alone) with its `passphrase`."""

    password: SecretStr | None = Field(None, min_length=1, max_length=4096)
    key: SecretStr | None = Field(None, min_length=1, max_length=65536)
    passphrase: SecretStr | None = Field(None, max_length=4096)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.password is None) == (self.key is None):
            raise ValueError("a secret is either a password or a key")
        return self


class PageQuery(Said):
    """Which part of a list: at most `limit`, from the `cursor` on that the page before gave."""

    limit: int = Field(100, ge=1, le=1000)
    cursor: str | None = Field(None, max_length=4096)


def list_given(said: Said) -> dict[str, Any]:
    """Return the fields that were given, by name: null was said, too, and is not the same as nothing."""
    return {name: getattr(said, name) for name in said.model_fields_set}

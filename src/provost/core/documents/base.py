"""What all documents have, and what goes wrong."""

from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict

T = TypeVar("T")


class Document(BaseModel):
    """What is told of one thing."""

    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class PageDocument(Document, Generic[T]):
    """One page of a list; `next` is the cursor of the next one, null on the last."""

    items: list[T]
    next: str | None = None


class ProblemDocument(Document):
    """What went wrong (RFC 9457), with a stable `code`; `errors` are one for each place in what was sent."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    request_id: str = ""
    errors: list[dict[str, str]] = []

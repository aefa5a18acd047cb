"""What an operator may say about a Redis server, and about accounts pushed to it."""

import re
from enum import StrEnum
from typing import Annotated, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from provost.connectors._lists import listed
from provost.connectors._tls import TlsOptions

PROTECTED: Final = frozenset({"default"})
"""The account of whoever logs in without a name; the server refuses to delete it."""


class Persist(StrEnum):
    """Whether a change must outlive the server's process."""

    AUTO = "auto"
    NEVER = "never"


# https://redis.io/docs/latest/operate/oss_and_stack/management/security/acl/, without what concerns passwords,
# on and off.  In selectors, words begin with ( or end with ).
_WORD = re.compile(
    r"[+-].+|[~&].*|%[RWrw]+~.*|allkeys|resetkeys|allchannels|resetchannels|allcommands|nocommands|"
    r"clearselectors|sanitize-payload|skip-sanitize-payload",
    re.IGNORECASE,
)


def _check_rule(word: str) -> str:
    if not word.isprintable() or "'" in word or '"' in word:
        raise ValueError(f"{word!r} holds a quote or a control character, which the server could not keep")
    if not _WORD.fullmatch(word.removeprefix("(").removesuffix(")")):
        raise ValueError(
            f"{word!r} is not a rule about commands, keys or channels, such as +@read, ~app:* or &news; "
            "passwords, on and off are Provost's own"
        )
    return word


_Rule = Annotated[str, AfterValidator(_check_rule)]


class RedisOptions(TlsOptions):
    """Options of a Redis server."""

    persist: Persist = Field(
        Persist.AUTO,
        description="auto: each change is saved (ACL SAVE, or CONFIG REWRITE), and none is made where the "
        "server cannot save; never: changes are lost when the server restarts",
    )


class RedisParameters(BaseModel):
    """Parameters of a push to Redis servers. An account that exists keeps its rules."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    rules: Annotated[tuple[_Rule, ...], listed(None)] = Field(
        (),
        description="ACL rules of an account that is created, separated by spaces, as: ~app:* +@read +@write "
        "(default: it may log in, and nothing else)",
    )


class RedisRemoval(BaseModel):
    """Parameters of a removal from Redis servers: there are none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

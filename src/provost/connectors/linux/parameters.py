"""What an operator may say about a Linux host, and about accounts pushed to it."""

import re
from datetime import date
from enum import StrEnum
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from provost.connectors._keys import KeyOptions, KeyStrategy, check_line
from provost.connectors._lists import listed


def _check_field(text: str) -> str:
    if ":" in text:
        raise ValueError("may hold no colon: passwd(5) could not hold it")
    return check_line(text)


def _check_path(text: str) -> str:
    if not text.startswith("/") or ".." in text.split("/"):
        raise ValueError("must be an absolute path without ..")
    return _check_field(text)


def _check_group(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z_.][A-Za-z0-9_.-]{0,31}|0|[1-9][0-9]{0,9}", text):
        raise ValueError("is not the name or number of a group")
    return text


def _check_command(text: str) -> str:
    if text != "ALL" and not text.startswith("/"):
        raise ValueError(f"{text!r} is neither ALL nor a command with its absolute path")
    if "#" in text:
        raise ValueError(f"{text!r} holds a #, which begins a comment in sudoers(5)")
    return check_line(text)


_Field = Annotated[str, AfterValidator(_check_field)]
_Path = Annotated[str, AfterValidator(_check_path)]
_Group = Annotated[str, AfterValidator(_check_group)]
_Line = Annotated[str, AfterValidator(check_line)]
_Command = Annotated[str, AfterValidator(_check_command)]


class LinuxOptions(BaseModel):
    """Options of a Linux asset."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    via_account: str | None = Field(
        None,
        description="as a gateway: the account to pass through it with (default: a privileged one)",
    )
    authorized_keys_file: _Line | None = Field(
        None, description="overrides sshd's AuthorizedKeysFile, with the same %h, %u and %U (sshd_config(5))"
    )


class LinuxParameters(BaseModel):
    """Parameters of a push to Linux hosts. An account that exists keeps what it has, but for its secret."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    shell: _Path | None = Field(None, description="login shell (default: the host's own)")
    home: _Path | None = Field(None, description="home folder (default: the host's own place for homes)")
    create_home: bool = Field(default=True, description="make the home folder")
    uid: int | None = Field(None, ge=1, le=2**32 - 2, description="numeric user id (default: the next free)")
    group: _Group | None = Field(None, description="main group, which must exist (default: the host's way)")
    groups: Annotated[tuple[_Group, ...], listed(",")] = Field(
        (), description="further groups, which must exist, separated by commas"
    )
    comment: _Field | None = Field(None, description="the comment (GECOS) field")
    expires: date | None = Field(None, description="the day on which the account expires, YYYY-MM-DD")
    system: bool = Field(default=False, description="a system account")
    sudo: Annotated[tuple[_Command, ...], listed(",")] = Field(
        (), description="commands that the account may run as root by sudo, separated by commas, or ALL"
    )
    sudo_password: bool = Field(default=True, description="sudo asks for the account's password")
    update_existing_sudo: bool = Field(default=False, description="give sudo to adopted accounts too")
    key_strategy: KeyStrategy = Field(
        KeyStrategy.REPLACE_MANAGED,
        description="append; replace_managed: replace the key that Provost put there; exclusive: the only key",
    )
    key_options: KeyOptions = Field(
        "", description='options in front of the key, as from="10.0.0.0/8" (sshd(8))'
    )


class HomeChoice(StrEnum):
    """What becomes of the home folder of an account that is removed."""

    ARCHIVE = "archive"
    DELETE = "delete"
    KEEP = "keep"


class LinuxRemoval(BaseModel):
    """Parameters of a removal from Linux hosts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    home: HomeChoice = Field(
        HomeChoice.ARCHIVE,
        description="archive: pack the home folder into a file of root's, then delete it; delete; keep",
    )
    archive_folder: _Path = Field("/var/lib/provost/archive", description="where archives go, on the host")

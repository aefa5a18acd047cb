"""What an operator may say about an OpenLDAP server, and about accounts pushed to it."""

import re
from typing import Annotated, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from provost.connectors._keys import KeyOptions, KeyStrategy, check_line
from provost.connectors._ldap.options import DirectoryOptions, Dn, Groups, Text, check_dn

LARGEST_ID = 2**31 - 1

PROTECTED: Final = frozenset({"root"})


def _check_attribute(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9-]*", text):
        raise ValueError("is not the name of an attribute, such as uid or cn")
    return text.lower()


def _check_template(text: str) -> str:
    if "{username}" not in text:
        raise ValueError("must hold {username}")
    return check_line(text)


def _check_path(text: str) -> str:
    if not text.startswith("/") or ".." in text.split("/") or ":" in text:
        raise ValueError("must be an absolute path without .. and :")
    return check_line(text)


def _check_range(text: str) -> str:
    found = re.fullmatch(r"([0-9]{1,10})-([0-9]{1,10})", text)
    if not found or not 0 < int(found[1]) <= int(found[2]) <= LARGEST_ID:
        raise ValueError("is two numbers with a hyphen between, such as 10000-59999")
    return text


_Attribute = Annotated[str, AfterValidator(_check_attribute)]
_DnTemplate = Annotated[str, AfterValidator(_check_template), AfterValidator(check_dn)]
_Path = Annotated[str, AfterValidator(_check_path)]
_PathTemplate = Annotated[str, AfterValidator(_check_template), AfterValidator(_check_path)]
_Range = Annotated[str, AfterValidator(_check_range)]


class LdapOptions(DirectoryOptions):
    """Options of an OpenLDAP asset."""

    base_dn: Dn = Field(description="where the accounts are, as ou=people,dc=example,dc=org; new ones go there")
    groups_dn: Dn | None = Field(None, description="where the groups are; without it none is looked at")
    rdn: _Attribute = Field(
        "uid", description="the attribute that usernames are in, and that entries are named by"
    )
    bind_dn: _DnTemplate | None = Field(
        None,
        description="what a privileged account is called, with {username} in it (default: as the accounts); "
        "one whose username is such a name is called so",
    )
    password_policy: Dn | None = Field(
        None,
        description="the password policy of accounts that name none of their own (ppolicy_default); without "
        "it, those cannot be disabled",
    )
    posix: bool = Field(default=False, description="new accounts are users of Linux hosts, too (posixAccount)")
    uid_range: _Range = Field("10000-59999", description="where the next free uid is looked for")
    gid: int | None = Field(None, ge=1, le=LARGEST_ID, description="number of the main group of posix accounts")
    home: _PathTemplate = Field("/home/{username}", description="home folder of posix accounts")
    shell: _Path = Field("/bin/bash", description="login shell of posix accounts")

    @model_validator(mode="after")
    def _check_posix(self) -> Self:
        if self.posix and self.gid is None:
            raise ValueError("posix accounts need the option gid, the number of their main group")
        return self


class LdapParameters(BaseModel):
    """Parameters of a push to OpenLDAP. An account that exists keeps what it has, but for its secret."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    full_name: Text | None = Field(None, description="the name of the person, cn (default: the username)")
    surname: Text | None = Field(None, description="the surname, sn (default: the username)")
    given_name: Text | None = Field(None, description="the first name")
    mail: Text | None = Field(None, description="the mail address")
    comment: Text | None = Field(None, description="a description")
    groups: Groups = Field((), description="groups to be a member of, which must exist, separated by commas")
    uid: int | None = Field(None, ge=1, le=LARGEST_ID, description="posix: the uid (default: the next free)")
    gid: int | None = Field(None, ge=1, le=LARGEST_ID, description="posix: number of the main group")
    home: _Path | None = Field(None, description="posix: home folder")
    shell: _Path | None = Field(None, description="posix: login shell")
    key_strategy: KeyStrategy = Field(
        KeyStrategy.REPLACE_MANAGED,
        description="append; replace_managed: replace the key that Provost put there; exclusive: the only key",
    )
    key_options: KeyOptions = Field(
        "", description='options in front of the key, as from="10.0.0.0/8" (sshd(8))'
    )


class LdapRemoval(BaseModel):
    """A removal leaves nothing of an account in the directory, so there is nothing to say about it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

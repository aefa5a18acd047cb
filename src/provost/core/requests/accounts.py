"""Accounts, their secrets, and pairs."""

from typing import Literal, Self

from pydantic import Field, model_validator

from provost.core.model import Become, SecretType, Sync
from provost.core.push import LONGEST_LIFE
from provost.core.requests.base import Flag, Instant, Name, PageQuery, Said, SecretBody, Text


class AccountBody(Said):
    """An account with a secret that is in force; with `replace`, in the place of the one that is held."""

    username: Name
    asset: Name
    secret: SecretBody
    privileged: Flag | None = None
    priority: int | None = Field(None, strict=True, ge=-(2**31), le=2**31 - 1)
    become: Become | None = None
    replace: Flag = False


class AccountPatch(Said):
    """What is to change of an account; what is not given stays.

    It lives until `expires_at` (null: for good), or for a `lifetime` from now; `grace` later it is removed.
    Both in seconds.
    """

    privileged: Flag | None = None
    priority: int | None = Field(None, strict=True, ge=-(2**31), le=2**31 - 1)
    become: Become | None = None
    reconcile: Flag | None = None
    expires_at: Instant | None = None
    lifetime: int | None = Field(None, strict=True, ge=1, le=LONGEST_LIFE)
    grace: int | None = Field(None, strict=True, ge=0, le=LONGEST_LIFE)

    @model_validator(mode="after")
    def _check(self) -> Self:
        if self.lifetime is not None and "expires_at" in self.model_fields_set:
            raise ValueError("an account lives until an instant, or for so long, not both")
        return self


class AccountQuery(PageQuery):
    """Which accounts; with `pending`, those that only hold a secret of an unsettled push.

    With `secret_type`, those that hold such a secret.  `older_than`: those with a current secret (of that type)
    that is at least so many days old, `newer_than`: less than so many.  `sync`: those with a current secret (of
    that type) whose last check told that, or that was `never` checked.
    """

    asset: Name | None = None
    node: Text | None = None
    username: Name | None = None
    privileged: bool | None = None
    pending: bool = False
    search: Name | None = None
    secret_type: SecretType | None = None
    older_than: int | None = Field(None, ge=0, le=36500)
    newer_than: int | None = Field(None, ge=0, le=36500)
    sync: Sync | Literal["never"] | None = None


class RevealBody(Said):
    """Which secret: the current one, or that of a `version`. The type is needed when it has several."""

    secret_type: SecretType | None = None
    version: int | None = Field(None, strict=True, ge=1, le=2**31 - 1)


class ForgetQuery(Said):
    """With `forget`, all secrets go, with their history."""

    forget: bool = False


class PairBody(Said):
    """Two accounts of an asset, by username, that are to take turns: the `active` one is in use now.

    The type of the secret that they take turns with is needed when they have several.
    """

    name: Name
    asset: Name
    active: Name
    idle: Name
    secret_type: SecretType | None = None


class PairQuery(PageQuery):
    """Which pairs: all, or those on an asset."""

    asset: Name | None = None

"""The creation of an account, with its groups and its number."""

import re
from collections.abc import Sequence
from typing import Final

from provost.connectors._keys import KeyStrategy
from provost.connectors._ldap.answers import Code, Entry
from provost.connectors._ldap.directory import ADD, DELETE, REPLACE, Changes, Directory
from provost.connectors._ldap.names import fold_dn, join_dn, match
from provost.connectors.ldap.groups import Group, list_groups
from provost.connectors.ldap.keys import plan_keys, put_key
from provost.connectors.ldap.parameters import LdapOptions, LdapParameters
from provost.connectors.ldap.policy import set_password
from provost.core.connector import Change
from provost.core.errors import ChangeRefused, ChangeUnknown, LookupFailed, Unreachable
from provost.core.secrets import Password, SshKey

MARK: Final = b"provost: is being created"
"""In the description of an entry whose creation is not over."""

_POSIX_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")


class Creation:
    """The creation of accounts in one session, which remembers the numbers that are in use."""

    def __init__(self, directory: Directory, options: LdapOptions) -> None:
        self._directory = directory
        self._options = options
        self._uids: set[int] | None = None
        """The numbers in use, as far as they were told in this session."""

    def prepare(self, username: str, parameters: LdapParameters) -> list[Group]:
        """Return the groups that an account is to be in.

        Raises:
            ChangeRefused: there are no such groups, or no such accounts, there.
        """
        asset = self._directory.asset
        given = [name for name in ("uid", "gid", "home", "shell") if getattr(parameters, name) is not None]
        if given and not self._options.posix:
            raise ChangeRefused(
                f"{', '.join(given)}: accounts of {asset} are no posix accounts; set its option posix.",
                code="unsupported_parameter",
            )
        if self._options.posix and not _POSIX_NAME.fullmatch(username):
            raise ChangeRefused(
                f"Linux hosts have no use for {username!r}: up to 32 letters, digits, and . _ -",
                code="create_refused",
            )
        return self._find_groups(parameters.groups)

    def _find_groups(self, names: Sequence[str]) -> list[Group]:
        if not names:
            return []
        asset, base = self._directory.asset, self._options.groups_dn
        if base is None:
            raise ChangeRefused(
                f"{asset} has no option groups_dn, so its groups are not known.", code="unsupported_parameter"
            )
        found = {group.name: group for group in list_groups(self._directory, base, match("cn", *names))}
        if missing := [name for name in names if name not in found]:
            raise ChangeRefused(
                f"{asset} has no group {', '.join(missing)} below {base}.", code="create_refused"
            )
        return [found[name] for name in names]

    def create(
        self, change: Change, parameters: LdapParameters, groups: Sequence[Group], entry: Entry | None
    ) -> None:
        """Add an entry with a mark, give it what it is to have, and take the mark away with the last of it.

        `entry` is what is there already, which is gone on with if it has the mark.

        Raises:
            ChangeRefused: nothing is there that was not before, or, with `cleanup_failed`, the marked entry.
            ChangeUnknown: the connection broke, or somebody else works on the entry.
        """
        username = change.username
        if entry is None:
            entry = self._add(username, parameters)
        elif MARK not in entry.get_all("description"):
            raise self._tell_appeared(username)
        try:
            self._settle_uid(entry, parameters)
            for group in groups:
                self._join(group, username, entry.dn)
            for secret in (change.secret, *change.others):
                if isinstance(secret, Password):
                    set_password(self._directory, entry.dn, username, secret)
            self._finish(entry, change, parameters)
        except (ChangeRefused, LookupFailed) as error:
            self._undo(username, entry, groups)
            raise ChangeRefused(error.message, code=error.code) from error

    def _add(self, username: str, parameters: LdapParameters) -> Entry:
        options = self._options
        values = _list_person(username, options.rdn, parameters)
        values["objectClass"] = ["inetOrgPerson"]
        if options.posix:
            values["objectClass"].append("posixAccount")
            values |= {
                "uidNumber": [str(parameters.uid or self._find_free_uid())],
                "gidNumber": [str(parameters.gid or options.gid)],
                "homeDirectory": [parameters.home or options.home.replace("{username}", username)],
                "loginShell": [parameters.shell or options.shell],
            }
        encoded = {name: [text.encode() for text in many] for name, many in values.items()}
        encoded["description"] = [MARK, *encoded.get("description", [])]
        dn = join_dn(options.rdn, username, options.base_dn)
        answer = self._directory.add(dn, encoded)
        if answer.code == Code.ENTRY_ALREADY_EXISTS:
            raise self._tell_appeared(username)
        if answer.code != Code.SUCCESS:
            raise self._directory.refuse(f"did not create {username}", answer, "create_refused")
        return Entry(dn, {name.lower(): many for name, many in encoded.items()})

    def _tell_appeared(self, username: str) -> ChangeRefused:
        return ChangeRefused(
            f"{username} appeared on {self._directory.asset} since it was looked for; push again.",
            code="appeared",
        )

    def _settle_uid(self, entry: Entry, parameters: LdapParameters) -> None:
        """Give another uid to a new entry whose number somebody else has taken at the same time.

        Of several new ones, the first by name keeps it, so that they do not follow each other.
        """
        number = entry.get_number("uidNumber")
        while number is not None:
            found = self._directory.search(
                self._options.base_dn, match("uidNumber", str(number)), ["uidNumber", "description"]
            )
            others = [one for one in found if fold_dn(one.dn) != fold_dn(entry.dn)]
            if not any(
                MARK not in one.get_all("description") or fold_dn(one.dn) < fold_dn(entry.dn) for one in others
            ):
                return
            if parameters.uid is not None:
                raise ChangeRefused(
                    f"The uid {number} is that of {others[0].dn} on {self._directory.asset}.",
                    code="create_refused",
                )
            number = self._find_free_uid()
            answer = self._directory.modify(entry.dn, {"uidNumber": [(REPLACE, [str(number).encode()])]})
            if answer.code != Code.SUCCESS:
                raise self._directory.refuse("did not take another uid", answer, "create_refused")

    def _find_free_uid(self) -> int:
        """Return the number after the highest in use; when the range is used up, the lowest that is free."""
        first, last = map(int, self._options.uid_range.split("-"))
        if self._uids is None:
            found = self._directory.search(self._options.base_dn, "(uidNumber=*)", ["uidNumber"])
            self._uids = {number for entry in found if (number := entry.get_number("uidNumber")) is not None}
        used = {number for number in self._uids if first <= number <= last}
        number = max(used, default=first - 1) + 1
        if number > last:
            number = next((one for one in range(first, last + 1) if one not in used), 0)
        if not number:
            raise ChangeRefused(
                f"No uid in {self._options.uid_range} is free on {self._directory.asset}: widen the range.",
                code="create_refused",
            )
        self._uids.add(number)
        return number

    def _join(self, group: Group, username: str, dn: str) -> None:
        for attribute, value in group.list_references(username, dn):
            answer = self._directory.modify(group.dn, {attribute: [(ADD, [value.encode()])]})
            if answer.code not in {Code.SUCCESS, Code.ATTRIBUTE_OR_VALUE_EXISTS}:
                raise self._directory.refuse(
                    f"did not make {username} a member of {group.name}", answer, "create_refused"
                )

    def _finish(self, entry: Entry, change: Change, parameters: LdapParameters) -> None:
        """Set the keys and take the mark away, at once."""
        lines = entry.get_all("sshPublicKey")
        for secret in (change.secret, *change.others):
            if isinstance(secret, SshKey):
                lines = put_key(
                    lines, secret, strategy=KeyStrategy.APPEND, options=parameters.key_options, after=None
                )
        changes: Changes = {"description": [(DELETE, [MARK])], **plan_keys(entry, lines)}
        answer = self._directory.modify(entry.dn, changes)
        if answer.code == Code.NO_SUCH_ATTRIBUTE:
            raise ChangeUnknown(f"Somebody else works on {entry.dn} on {self._directory.asset}.")
        if answer.code != Code.SUCCESS:
            code = "key_refused" if lines else "create_refused"
            raise self._directory.refuse(f"did not complete {change.username}", answer, code)

    def _undo(self, username: str, entry: Entry, groups: Sequence[Group]) -> None:
        """Remove what a refused creation has made; what cannot be removed may have its secret already."""
        try:
            answers = [
                self._directory.modify(group.dn, {attribute: [(DELETE, [value.encode()])]})
                for group in groups
                for attribute, value in group.list_references(username, entry.dn)
            ]
            answers.append(self._directory.delete(entry.dn))
        except Unreachable as error:
            raise ChangeUnknown(error.message, code=error.code) from error
        gone = {Code.SUCCESS, Code.NO_SUCH_OBJECT, Code.NO_SUCH_ATTRIBUTE}
        if left := [answer.text for answer in answers if answer.code not in gone]:
            raise ChangeUnknown(
                f"{self._directory.asset} did not create {username}, and keeps what was begun of it: "
                f"{'; '.join(left)}.",
                code="cleanup_failed",
            )


def _list_person(username: str, rdn: str, parameters: LdapParameters) -> dict[str, list[str]]:
    values = {
        "uid": [username],
        "cn": [parameters.full_name or username],
        "sn": [parameters.surname or username],
    }
    for name, text in (
        ("givenName", parameters.given_name),
        ("mail", parameters.mail),
        ("description", parameters.comment),
    ):
        if text is not None:
            values[name] = [text]
    if username not in values.get(rdn, ()):
        values[rdn] = [username, *values.get(rdn, ())]
    return values

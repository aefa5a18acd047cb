"""A privileged session on a domain controller. All of it runs in the thread of the session's connection."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

from provost.connectors._ldap.answers import Answer, Code, Entry, doubt
from provost.connectors._ldap.directory import ADD, DELETE, REPLACE, Control
from provost.connectors._ldap.names import fold_dn, is_dn, join_dn, match
from provost.connectors._ldap.session import DirectorySession
from provost.connectors.active_directory.discovery import PERSON, list_facts, write_time
from provost.connectors.active_directory.parameters import ActiveDirectoryOptions, ActiveDirectoryParameters
from provost.core.connector import Change, Removal, Verification, check_expendable, expect
from provost.core.errors import ChangeRefused, ChangeUnknown, LoginRefused, LookupFailed, Unreachable
from provost.core.facts import Facts
from provost.core.model import Decision, Verdict
from provost.core.secrets import Password, SshKey

MARK: Final = b"provost: is being created"
"""In the notes (info) of an account whose creation is not over."""

# MS-ADTS 2.2.16, userAccountControl
NORMAL: Final = 0x200
DISABLED: Final = 0x2

# MS-SAMR 2.2.1.14, and 2.2.1.17 for the password properties
_BUILT_IN: Final = frozenset({500, 501, 502})
_COMPLEX: Final = 1

_HERE: Final[Control] = ("1.2.840.113556.1.4.1339", False, None)
"""Tells of this domain alone, without pointing at the partitions that other servers may have."""

_READ: Final = (
    "objectClass",
    "info",
    "userAccountControl",
    "objectSid",
    "isCriticalSystemObject",
    "adminCount",
)

_WRONG: Final = frozenset({"525", "52e"})
_BARS: Final = {
    "530": "it may not log in at this hour",
    "531": "it may not log in from here",
    "532": "its password has expired",
    "533": "it is disabled",
    "701": "the account has expired",
    "773": "its password must be changed first",
    "775": "it is locked after too many wrong passwords",
}
"""What a domain controller says beside "invalid credentials": system error codes in hexadecimal."""


class ActiveDirectorySession(DirectorySession):
    """One connection, bound as the privileged account."""

    name_attribute = "sAMAccountName"
    mark = ("info", MARK)
    _options: ActiveDirectoryOptions

    # Logging in

    @property
    def login_name(self) -> str:
        """The name that the privileged account binds with."""
        return self._name_absent(self.actor)

    def _find_policy_bar(self, answer: Answer) -> str:
        return _BARS.get(_read_reason(answer), "")

    def _check_rights(self) -> None:
        asset, place = self._target.asset, self._options.place
        entry = self._directory.read(place, ["allowedChildClassesEffective"])
        if entry is None:
            raise LoginRefused(
                f"{asset} shows {self.actor} no {place}: are domain and container right?",
                code="rights_missing",
            )
        if "user" not in entry.list_texts("allowedChildClassesEffective"):
            raise LoginRefused(
                f"{self.actor} may not create users in {place} on {asset}.", code="rights_missing"
            )

    # Looking

    def _is_long(self, username: str) -> bool:
        """Tell whether it is a user principal name, or the name of an entry."""
        return "@" in username or is_dn(username, self._options.domain_dn)

    def _name_absent(self, username: str) -> str:
        return username if self._is_long(username) else f"{username}@{self._options.domain}"

    def _search(self, test: str) -> list[Entry]:
        return self._directory.search(
            self._options.base, f"(&{PERSON}{test})", [self.name_attribute, *_READ], controls=[_HERE]
        )

    def _find_otherwise(self, username: str) -> list[Entry] | None:
        if is_dn(username, self._options.domain_dn):
            return self._directory.search(
                username, "(objectClass=*)", [self.name_attribute, *_READ], alone=True
            )
        if "@" not in username:
            return None
        name, _, suffix = username.partition("@")
        test = match("userPrincipalName", username)
        if suffix.lower() == self._options.domain:
            test = f"(|{test}{match(self.name_attribute, name)})"
        return self._search(test)

    def _discover(self) -> Sequence[Facts]:
        return list_facts(self._directory, self._options, _HERE, self.actor, self._find(self.actor))

    # Changing

    def _apply(self, change: Change) -> str:
        parameters = expect(change.parameters, ActiveDirectoryParameters)
        secret = expect(change.secret, Password)
        if change.decision is not Decision.ADOPT:
            return self._create(change.username, secret, parameters)
        self._set_password(self._get(change.username), change.username, secret)
        return ""

    def _set_password(self, entry: Entry, username: str, password: Password) -> None:
        answer = self._directory.modify(entry.dn, {"unicodePwd": [(REPLACE, [encode_password(password)])]})
        if answer.code != Code.SUCCESS:
            raise self._refuse_password(username, entry, answer)

    def _refuse_password(self, username: str, entry: Entry | None, answer: Answer) -> ChangeRefused:
        what = f"did not take the password of {username}"
        if answer.code == Code.CONSTRAINT_VIOLATION:
            what += f" ({self._describe_policy()})"
        elif entry and entry.get_number("adminCount") and answer.code == Code.INSUFFICIENT_ACCESS_RIGHTS:
            what += " (it is, or was, in an administrative group: delegated rights do not reach it)"
        return self._directory.refuse(what, answer, "password_refused")

    def _describe_policy(self) -> str:
        """Tell what the domain wants of passwords. That resets count for its history and age is not so."""
        try:
            domain = self._directory.read(
                self._options.domain_dn, ["minPwdLength", "pwdProperties", "pwdHistoryLength", "minPwdAge"]
            )
        except LookupFailed:
            domain = None
        if domain is None:
            return "what the domain wants could not be read"
        wants = [f"at least {domain.get_number('minPwdLength') or 0} characters"]
        if (domain.get_number("pwdProperties") or 0) & _COMPLEX:
            wants.append(
                "three of the kinds lower case, upper case, digits and symbols, and not the account's name"
            )
        if history := domain.get_number("pwdHistoryLength"):
            wants.append(f"none of the last {history} where the history counts")
        if age := domain.get_number("minPwdAge"):
            wants.append(f"{-age // 36_000_000_000} hours between changes by the account itself")
        return f"the domain wants {'; '.join(wants)}; a fine-grained policy may want more"

    # Creating

    def _create(self, username: str, password: Password, parameters: ActiveDirectoryParameters) -> str:
        """Add a user with its password at once; one for groups is marked, and disabled until then."""
        if self._is_long(username):
            raise ChangeRefused(
                f"{username} is not on {self._target.asset}. To create an account, push its sAMAccountName.",
                code="create_refused",
            )
        groups = self._find_groups(parameters.groups)
        entry = self._find(username)
        if entry is None:
            dn = self._add(username, password, parameters, marked=bool(groups))
        elif MARK in entry.get_all("info"):
            dn = entry.dn
        else:
            raise ChangeRefused(
                f"{username} appeared on {self._target.asset} since it was looked for; push again.",
                code="appeared",
            )
        if entry or groups:
            self._complete(username, dn, groups, password if entry else None)
        return ""

    def _add(
        self, username: str, password: Password, parameters: ActiveDirectoryParameters, *, marked: bool
    ) -> str:
        upn = parameters.upn or f"{username}@{self._options.upn_suffix or self._options.domain}"
        texts = {
            "objectClass": "user",
            "sAMAccountName": username,
            "userPrincipalName": upn,
            "userAccountControl": str(NORMAL | DISABLED if marked else NORMAL),
            "displayName": parameters.full_name,
            "givenName": parameters.given_name,
            "sn": parameters.surname,
            "mail": parameters.mail,
            "description": parameters.comment,
        }
        values = {name: [text.encode()] for name, text in texts.items() if text is not None}
        values["unicodePwd"] = [encode_password(password)]
        if parameters.expires:
            ends = datetime.combine(parameters.expires, datetime.min.time(), UTC)
            values["accountExpires"] = [str(write_time(ends)).encode()]
        if marked:
            values["info"] = [MARK]
        dn = join_dn("CN", username, self._options.place)
        answer = self._directory.add(dn, values)
        if answer.code == Code.CONSTRAINT_VIOLATION and "52d" in answer.message.lower():
            raise self._refuse_password(username, None, answer)
        if answer.code != Code.SUCCESS:
            raise self._directory.refuse(f"did not create {username}", answer, "create_refused")
        return dn

    def _find_groups(self, names: Sequence[str]) -> list[str]:
        """Return the names of the groups' entries."""
        found = []
        for name in names:
            test = f"(&(objectClass=group){match('sAMAccountName', name)})"
            entries = self._directory.search(self._options.domain_dn, test, ["1.1"], controls=[_HERE])
            if not entries:
                raise ChangeRefused(f"{self._target.asset} has no group {name}.", code="create_refused")
            found.append(entries[0].dn)
        return found

    def _complete(self, username: str, dn: str, groups: Sequence[str], password: Password | None) -> None:
        try:
            if password:
                self._set_password(Entry(dn, {}), username, password)
            for group in groups:
                answer = self._directory.modify(group, {"member": [(ADD, [dn.encode()])]})
                if answer.code not in {
                    Code.SUCCESS,
                    Code.ENTRY_ALREADY_EXISTS,
                    Code.ATTRIBUTE_OR_VALUE_EXISTS,
                }:
                    raise self._directory.refuse(
                        f"did not make {username} a member of {group}", answer, "create_refused"
                    )
            last = {
                "info": [(DELETE, [MARK])],
                "userAccountControl": [(REPLACE, [str(NORMAL).encode()])],
            }
            answer = self._directory.modify(dn, last)
            if answer.code != Code.SUCCESS:
                raise self._directory.refuse(f"did not complete {username}", answer, "create_refused")
        except ChangeRefused:
            self._undo(username, dn)
            raise

    def _undo(self, username: str, dn: str) -> None:
        """Remove what a refused creation has made."""
        try:
            answer = self._directory.delete(dn)
        except Unreachable as error:
            raise ChangeUnknown(error.message, code=error.code) from error
        if answer.code not in {Code.SUCCESS, Code.NO_SUCH_OBJECT}:
            raise ChangeUnknown(
                f"{self._target.asset} did not complete {username}, and keeps it, disabled: {answer.text}.",
                code="cleanup_failed",
            )

    # Ending

    def _check_expendable(self, username: str, entry: Entry | None) -> None:
        acting = self._find(self.actor)
        acts = username == self.actor
        acts = acts or bool(entry and acting and fold_dn(entry.dn) == fold_dn(acting.dn))
        needed = entry is not None and (is_built_in(entry) or entry.get("isCriticalSystemObject") == "TRUE")
        check_expendable(username, self._target.asset, acts=acts, needed=needed)

    def _disable(self, username: str) -> str:
        entry = self._find(username)
        self._check_expendable(username, entry)
        if entry is not None:
            self._flip(username, entry, "disable", on=True)
        return ""

    def _enable(self, username: str) -> str:
        self._flip(username, self._get(username), "enable", on=False)
        return ""

    def _flip(self, username: str, entry: Entry, what: str, *, on: bool) -> None:
        """Set or clear the bit that disables an account, if nobody has changed the others meanwhile."""
        old = entry.get_number("userAccountControl")
        if old is None:
            raise ChangeRefused(
                f"{self._target.asset} does not show userAccountControl of {username}.", code=f"{what}_refused"
            )
        new = old | DISABLED if on else old & ~DISABLED
        if new == old:
            return
        change = [(DELETE, [str(old).encode()]), (ADD, [str(new).encode()])]
        answer = self._directory.modify(entry.dn, {"userAccountControl": change})
        if answer.code != Code.SUCCESS:
            raise self._directory.refuse(f"did not {what} {username}", answer, f"{what}_refused")

    def _remove(self, removal: Removal) -> str:
        entry = self._find(removal.username)
        self._check_expendable(removal.username, entry)
        if entry is not None:
            answer = self._directory.delete(entry.dn)
            if answer.code not in {Code.SUCCESS, Code.NO_SUCH_OBJECT}:
                raise self._directory.refuse(f"did not remove {removal.username}", answer, "change_refused")
        return ""

    # Verifying

    def _look_for(self, username: str, key: SshKey) -> Verification:
        raise TypeError(f"{username} has no {key.secret_type}: active_directory knows passwords alone")

    def _judge(self, username: str, answer: Answer) -> Verification:
        if answer.code == Code.SUCCESS:
            return Verification(Verdict.ACCEPTED)
        if answer.code != Code.INVALID_CREDENTIALS:
            return doubt(answer, self._target.asset, username)
        asset, reason = self._target.asset, _read_reason(answer)
        if bar := self._find_policy_bar(answer):
            return Verification(
                Verdict.UNKNOWN,
                "policy_forbids_login",
                f"{asset} does not let {username} in: {bar}.",
                refused=True,
            )
        if reason and reason not in _WRONG:
            return Verification(
                Verdict.UNKNOWN,
                "policy_forbids_login",
                f"{asset} does not let {username} in, and it is not said to be the password: {answer.text}.",
                refused=True,
            )
        return Verification(
            Verdict.REJECTED,
            "login_rejected",
            f"{asset} did not let {username} in: the password is wrong, or there is no such account.",
            refused=True,
        )


def _read_reason(answer: Answer) -> str:
    found = re.search(r"\bdata ([0-9a-fA-F]+)", answer.message)
    return found[1].lower() if found and answer.code == Code.INVALID_CREDENTIALS else ""


def encode_password(password: Password) -> bytes:
    """Return a password as unicodePwd takes it (MS-ADTS 3.1.1.3.1.5.1)."""
    return f'"{password.text}"'.encode("utf-16-le")


def is_built_in(entry: Entry) -> bool:
    """Tell whether it is the administrator, the guest or krbtgt, whatever they are called."""
    sid = next(iter(entry.get_all("objectSid")), b"")
    return int.from_bytes(sid[-4:], "little") in _BUILT_IN

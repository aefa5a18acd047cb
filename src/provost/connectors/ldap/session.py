"""A privileged session on an OpenLDAP server. All of it runs in the thread of the session's connection."""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import Any, Final

from provost.connectors._keys import KeyStrategy
from provost.connectors._ldap import (
    ADD,
    DELETE,
    REPLACE,
    Answer,
    Code,
    Control,
    DirectorySession,
    Entry,
    doubt,
    escape,
    fold_dn,
    is_dn,
    join_dn,
    match,
)
from provost.connectors.ldap.discovery import list_facts
from provost.connectors.ldap.groups import Group, list_groups
from provost.connectors.ldap.keys import holds, put_key, take_keys
from provost.connectors.ldap.parameters import LdapOptions, LdapParameters
from provost.core.connector import Applied, Change, Removal, Verification, Withdrawal, answer_each
from provost.core.errors import ChangeRefused, ChangeUnknown, LookupFailed, TargetError, Unreachable
from provost.core.facts import Facts
from provost.core.model import Decision, Verdict
from provost.core.secrets import Password, Secret, SshKey

MARK: Final = b"provost: is being created"
"""In the description of an entry whose creation is not over."""

ASIDE: Final = b"provost: while disabled: "
"""In the description of an entry that is disabled: what it gets back when it is enabled."""

ENDED: Final = b"19700101000000Z"
LOCKED: Final = b"000001010000Z"
"""What OpenLDAP calls locked for good; sssd looks at it, too, when it lets SSH keys in."""

POLICY: Final[Control] = ("1.3.6.1.4.1.42.2.27.8.5.1", False, None)
_POLICY_HERE: Final[Control] = (POLICY[0], True, None)
"""The same as a condition: a database without a password policy then refuses."""

_POSIX_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,31}")
_READ: Final = (
    "objectClass", "description", "sshPublicKey", "uidNumber", "pwdAccountLockedTime", "pwdEndTime",
    "pwdStartTime", "pwdPolicySubentry",
)  # fmt: skip

# draft-behera-ldap-password-policy-10, 6.2
_NO_ERROR: Final = -1
_MUST_CHANGE: Final = 2
_POLICY_ERRORS: Final = {
    0: "its password has expired",
    1: "it is locked",
    _MUST_CHANGE: "its password must be changed first",
}
_PASSWORD_ERRORS: Final = {
    3: "only its owner may change it",
    4: "the old password must be given",
    5: "it is too simple",
    6: "it is too short",
    7: "the old one is too young",
    8: "it was in use before",
}


def name_login(username: str, options: LdapOptions) -> str:
    """Return the name that a privileged account binds with."""
    if is_dn(username, options.base_dn):
        return username
    if options.bind_dn is None:
        return join_dn(options.rdn, username, options.base_dn)
    return options.bind_dn.replace("{username}", escape(username))


class LdapSession(DirectorySession):
    """One connection, bound as the privileged account."""

    login_controls = (POLICY,)
    mark = ("description", MARK)

    def __init__(self, *, options: LdapOptions, **common: Any) -> None:
        super().__init__(options=options, **common)
        self._options = options
        self.name_attribute = options.rdn
        self._actor_dn = name_login(self.actor, options)
        self._uids: set[int] | None = None
        """The numbers in use, as far as they were told in this session."""

    # Looking

    def _name_exactly(self, username: str) -> str | None:
        """Return the name of an entry that need not be below the base: a privileged account's."""
        if is_dn(username, self._options.base_dn):
            return username
        return self._actor_dn if username == self.actor else None

    def _find_otherwise(self, username: str) -> list[Entry] | None:
        dn = self._name_exactly(username)
        return (
            None if dn is None else self._directory.search(dn, "(objectClass=*)", self._attributes, alone=True)
        )

    def _search(self, test: str) -> list[Entry]:
        return self._directory.search(self._options.base_dn, test, self._attributes)

    @property
    def _attributes(self) -> list[str]:
        return [self._options.rdn, *_READ]

    def _discover(self) -> Sequence[Facts]:
        groups = self._list_groups("(objectClass=*)") if self._options.groups_dn else None
        return list_facts(self._directory, self._options, groups, {self.actor: self._actor_dn})

    def _list_groups(self, test: str) -> list[Group]:
        return list_groups(self._directory, self._options.groups_dn, test)

    # Changing

    def _apply(self, change: Change) -> str:
        parameters = change.parameters
        if not isinstance(parameters, LdapParameters):
            raise TypeError(f"parameters of ldap are LdapParameters, not {type(parameters).__name__}")
        if change.decision is not Decision.ADOPT:
            return self._create(change, parameters)
        entry = self._get(change.username)
        if isinstance(change.secret, SshKey):
            return self._set_key(entry, change, change.secret, parameters)
        return self._set_password(entry.dn, change.username, change.secret)

    def _set_password(self, dn: str, username: str, password: Password) -> str:
        answer = self._directory.set_password(dn, password, POLICY)
        if answer.code != Code.SUCCESS:
            why = _PASSWORD_ERRORS.get(_read_policy_error(answer), "")
            what = f"did not take the password of {username}{why and f', since by its policy {why}'}"
            raise self._refuse_change(what, answer, "password_refused")
        return ""

    def _set_key(self, entry: Entry, change: Change, key: SshKey, parameters: LdapParameters) -> str:
        old = entry.get_all("sshPublicKey")
        new = put_key(
            old,
            key,
            strategy=KeyStrategy.APPEND if change.overlap else parameters.key_strategy,
            options=parameters.key_options,
            after=change.replaces if change.overlap else None,
        )
        answer = self._directory.modify(entry.dn, _plan_keys(entry, new))
        if answer.code != Code.SUCCESS:
            raise self._refuse_change(f"did not take the key of {change.username}", answer, "key_refused")
        return ""

    def withdraw(self, withdrawals: Sequence[Withdrawal]) -> AsyncIterator[Applied]:
        """Take keys away."""
        return answer_each(withdrawals, partial(self._do, self._withdraw))

    def _withdraw(self, withdrawal: Withdrawal) -> str:
        entry = self._find(withdrawal.username)
        if entry is None:
            return ""
        left = take_keys(entry.get_all("sshPublicKey"), withdrawal.keep, withdrawal.gone)
        if changes := _plan_keys(entry, left):
            answer = self._directory.modify(entry.dn, changes)
            if answer.code != Code.SUCCESS:
                raise self._refuse_change(
                    f"did not take the keys of {withdrawal.username} away", answer, "key_refused"
                )
        return ""

    # Creating

    def _create(self, change: Change, parameters: LdapParameters) -> str:
        """Add an entry with a mark, give it what it is to have, and take the mark away with the last of it."""
        username = change.username
        self._check_creation(username, parameters)
        groups = self._find_groups(parameters.groups)
        entry = self._find(username)
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
                    self._set_password(entry.dn, username, secret)
            self._finish(entry, change, parameters)
        except (ChangeRefused, LookupFailed) as error:
            self._undo(username, entry, groups)
            raise ChangeRefused(error.message, code=error.code) from error
        return ""

    def _finish(self, entry: Entry, change: Change, parameters: LdapParameters) -> None:
        """Set the keys and take the mark away, at once."""
        lines = entry.get_all("sshPublicKey")
        for secret in (change.secret, *change.others):
            if isinstance(secret, SshKey):
                lines = put_key(
                    lines, secret, strategy=KeyStrategy.APPEND, options=parameters.key_options, after=None
                )
        changes = {"description": [(DELETE, [MARK])], **_plan_keys(entry, lines)}
        answer = self._directory.modify(entry.dn, changes)
        if answer.code == Code.NO_SUCH_ATTRIBUTE:
            raise ChangeUnknown(f"Somebody else works on {entry.dn} on {self._target.asset}.")
        if answer.code != Code.SUCCESS:
            code = "key_refused" if lines else "create_refused"
            raise self._refuse_change(f"did not complete {change.username}", answer, code)

    def _check_creation(self, username: str, parameters: LdapParameters) -> None:
        asset = self._target.asset
        if self._name_exactly(username) is not None:
            raise ChangeRefused(
                f"{username} is not below {self._options.base_dn} on {asset}, where Provost creates accounts.",
                code="create_refused",
            )
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

    def _find_groups(self, names: Sequence[str]) -> list[Group]:
        if not names:
            return []
        if self._options.groups_dn is None:
            raise ChangeRefused(
                f"{self._target.asset} has no option groups_dn, so its groups are not known.",
                code="unsupported_parameter",
            )
        found = {group.name: group for group in self._list_groups(match("cn", *names))}
        if missing := [name for name in names if name not in found]:
            raise ChangeRefused(
                f"{self._target.asset} has no group {', '.join(missing)} below {self._options.groups_dn}.",
                code="create_refused",
            )
        return [found[name] for name in names]

    def _add(self, username: str, parameters: LdapParameters) -> Entry:
        rdn = self._options.rdn
        values = _list_person(username, rdn, parameters)
        values["objectClass"] = ["inetOrgPerson"]
        if self._options.posix:
            values["objectClass"].append("posixAccount")
            values |= {
                "uidNumber": [str(parameters.uid or self._find_free_uid())],
                "gidNumber": [str(parameters.gid or self._options.gid)],
                "homeDirectory": [parameters.home or self._options.home.replace("{username}", username)],
                "loginShell": [parameters.shell or self._options.shell],
            }
        encoded = {name: [text.encode() for text in many] for name, many in values.items()}
        encoded["description"] = [MARK, *encoded.get("description", [])]
        dn = join_dn(rdn, username, self._options.base_dn)
        answer = self._directory.add(dn, encoded)
        if answer.code == Code.ENTRY_ALREADY_EXISTS:
            raise self._tell_appeared(username)
        if answer.code != Code.SUCCESS:
            raise self._refuse_change(f"did not create {username}", answer, "create_refused")
        return Entry(dn, {name.lower(): many for name, many in encoded.items()})

    def _tell_appeared(self, username: str) -> ChangeRefused:
        return ChangeRefused(
            f"{username} appeared on {self._target.asset} since it was looked for; push again.", code="appeared"
        )

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
                f"No uid in {self._options.uid_range} is free on {self._target.asset}: widen the range.",
                code="create_refused",
            )
        self._uids.add(number)
        return number

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
                    f"The uid {number} is that of {others[0].dn} on {self._target.asset}.",
                    code="create_refused",
                )
            number = self._find_free_uid()
            answer = self._directory.modify(entry.dn, {"uidNumber": [(REPLACE, [str(number).encode()])]})
            if answer.code != Code.SUCCESS:
                raise self._refuse_change("did not take another uid", answer, "create_refused")

    def _join(self, group: Group, username: str, dn: str) -> None:
        for attribute, value in group.list_references(username, dn):
            answer = self._directory.modify(group.dn, {attribute: [(ADD, [value.encode()])]})
            if answer.code not in {Code.SUCCESS, Code.ATTRIBUTE_OR_VALUE_EXISTS}:
                raise self._refuse_change(
                    f"did not make {username} a member of {group.name}", answer, "create_refused"
                )

    def _undo(self, username: str, entry: Entry, groups: Sequence[Group]) -> None:
        """Remove what a refused creation has made."""
        try:
            for group in groups:
                for attribute, value in group.list_references(username, entry.dn):
                    self._directory.modify(group.dn, {attribute: [(DELETE, [value.encode()])]})
            answer = self._directory.delete(entry.dn)
        except Unreachable as error:
            raise ChangeUnknown(error.message, code=error.code) from error
        if answer.code not in {Code.SUCCESS, Code.NO_SUCH_OBJECT}:
            raise self._refuse_change(
                f"did not create {username}, and keeps what was begun of it", answer, "cleanup_failed"
            )

    # Ending

    def _check_expendable(self, username: str, entry: Entry | None) -> None:
        asset = self._target.asset
        if username == self.actor or (entry and fold_dn(entry.dn) == fold_dn(self._actor_dn)):
            raise ChangeRefused(f"{username} acts on {asset} itself.", code="acting_account")
        if username == "root" or (entry and entry.get_number("uidNumber") == 0):
            raise ChangeRefused(f"{username} is an all-powerful account of {asset}.", code="protected_account")

    def _disable(self, username: str) -> str:
        entry = self._find(username)
        self._check_expendable(username, entry)
        if entry is None or entry.get("pwdEndTime") == ENDED.decode():
            return ""
        self._check_policy(username, entry)
        keys, ends = entry.get_all("sshPublicKey"), entry.get_all("pwdEndTime")
        aside = [ASIDE + b"sshPublicKey=" + key for key in keys] + [
            ASIDE + b"pwdEndTime=" + one for one in ends
        ]
        changes: dict[str, list[tuple[str, list[bytes]]]] = {
            "pwdEndTime": [(REPLACE, [ENDED])],
            "pwdAccountLockedTime": [(REPLACE, [LOCKED])],
            **_plan_keys(entry, []),
        }
        if aside:
            changes["description"] = [(ADD, aside)]
        answer = self._directory.modify(entry.dn, changes, _POLICY_HERE)
        if answer.code in {Code.UNAVAILABLE_CRITICAL_EXTENSION, Code.UNDEFINED_ATTRIBUTE_TYPE}:
            raise self._refuse_change(
                f"cannot disable {username}: that takes OpenLDAP 2.5 or newer, with the overlay ppolicy on its "
                "database",
                answer,
                "disable_refused",
            )
        if answer.code != Code.SUCCESS:
            raise self._refuse_change(f"did not disable {username}", answer, "disable_refused")
        return ""

    def _check_policy(self, username: str, entry: Entry) -> None:
        """Make sure that a policy is in force for an account: without one, no lock on it is looked at."""
        dn = entry.get("pwdPolicySubentry") or self._options.password_policy
        if dn is None:
            raise ChangeRefused(
                f"{username} cannot be disabled on {self._target.asset}: without a password policy in force, "
                "OpenLDAP looks at no lock. Name the default one in the asset's option password_policy.",
                code="disable_refused",
            )
        policy = self._directory.read(dn, ["objectClass"])
        if policy is None or "pwdpolicy" not in {name.lower() for name in policy.list_texts("objectClass")}:
            raise ChangeRefused(
                f"{username} cannot be disabled on {self._target.asset}: the policy {dn} is not there, or "
                "may not be read.",
                code="disable_refused",
            )

    def _enable(self, username: str) -> str:
        entry = self._get(username)
        aside = [value for value in entry.get_all("description") if value.startswith(ASIDE)]
        kept = [value.removeprefix(ASIDE).partition(b"=") for value in aside]
        keys = [value for name, _, value in kept if name == b"sshPublicKey"]
        ends = [value for name, _, value in kept if name == b"pwdEndTime"]
        changes: dict[str, list[tuple[str, list[bytes]]]] = _plan_keys(
            entry, [*dict.fromkeys([*entry.get_all("sshPublicKey"), *keys])]
        )
        if entry.get("pwdEndTime") == ENDED.decode():
            changes["pwdEndTime"] = [(REPLACE, ends)]
        if entry.get_all("pwdAccountLockedTime"):
            changes["pwdAccountLockedTime"] = [(REPLACE, [])]
        if aside:
            changes["description"] = [(DELETE, aside)]
        if changes:
            answer = self._directory.modify(entry.dn, changes)
            if answer.code != Code.SUCCESS:
                raise self._refuse_change(f"did not enable {username}", answer, "enable_refused")
        return ""

    def _remove(self, removal: Removal) -> str:
        username = removal.username
        entry = self._find(username)
        self._check_expendable(username, entry)
        dn = entry.dn if entry else join_dn(self._options.rdn, username, self._options.base_dn)
        kept, left = [], False
        for group in self._list_memberships(username, dn):
            for attribute, value in group.list_references(username, dn):
                answer = self._directory.modify(group.dn, {attribute: [(DELETE, [value.encode()])]})
                if answer.code == Code.OBJECT_CLASS_VIOLATION:
                    kept.append(group.name)  # a group of names is never empty
                elif answer.code == Code.SUCCESS:
                    left = True
                elif answer.code != Code.NO_SUCH_ATTRIBUTE:
                    what = f"did not take {username} out of the group {group.name}"
                    raise self._refuse_removal(what, answer, begun=left)
        if entry is not None:
            answer = self._directory.delete(entry.dn)
            if answer.code not in {Code.SUCCESS, Code.NO_SUCH_OBJECT}:
                raise self._refuse_removal(f"did not remove {username}", answer, begun=left)
        return f"The only member of {', '.join(kept)} it was, and is named there still." if kept else ""

    def _refuse_removal(self, what: str, answer: Answer, *, begun: bool) -> TargetError:
        if begun:
            return ChangeUnknown(f"{self._target.asset} {what}: {answer.text}.", code="remove_unfinished")
        return self._refuse_change(what, answer, "change_refused")

    def _list_memberships(self, username: str, dn: str) -> list[Group]:
        if self._options.groups_dn is None:
            return []
        tests = match("memberUid", username) + match("member", dn) + match("uniqueMember", dn)
        return self._list_groups(f"(|{tests})")

    # Verifying

    def _name(self, username: str) -> str:
        try:
            entry = self._find(username)
        except LookupFailed as error:
            if error.code == LookupFailed.code:
                raise
            entry = None
        return entry.dn if entry else join_dn(self._options.rdn, username, self._options.base_dn)

    def _look_for(self, username: str, secret: Secret) -> Verification:
        entry, asset = self._find(username), self._target.asset
        if entry and entry.get("pwdEndTime") == ENDED.decode():
            return Verification(Verdict.UNKNOWN, "policy_forbids_login", f"{username} is disabled on {asset}.")
        if entry and isinstance(secret, SshKey) and holds(entry.get_all("sshPublicKey"), secret):
            return Verification(
                Verdict.UNKNOWN,
                "no_login_by_key",
                f"{asset} holds this key of {username}. A directory lets nobody in by it: no login proves it.",
            )
        return Verification(Verdict.REJECTED, "key_absent", f"{asset} does not hold this key of {username}.")

    def _judge(self, username: str, answer: Answer) -> Verification:
        error = _read_policy_error(answer)
        if answer.code == Code.SUCCESS:
            told = (
                "Its password must be changed first, says the password policy." if error == _MUST_CHANGE else ""
            )
            return Verification(Verdict.ACCEPTED, message=told)
        if answer.code != Code.INVALID_CREDENTIALS:
            return doubt(answer, self._target, username)
        bar = find_policy_bar(answer) or self._find_bar(username)
        if bar:
            return Verification(
                Verdict.UNKNOWN,
                "policy_forbids_login",
                f"{self._target.asset} does not let {username} in: {bar}.",
                refused=True,
            )
        return Verification(
            Verdict.REJECTED,
            "login_rejected",
            f"{self._target.asset} did not let {username} in: {answer.text}.",
            refused=True,
        )

    def _find_bar(self, username: str) -> str:
        """Return why an account is let in by no password, as far as its entry tells."""
        try:
            entry = self._find(username)
        except LookupFailed:
            return ""
        if entry and entry.get("pwdEndTime") == ENDED.decode():
            return "it is disabled"
        if entry and entry.get_all("pwdAccountLockedTime"):
            return "it is locked after too many wrong passwords, or was so"
        if entry and (entry.get_all("pwdEndTime") or entry.get_all("pwdStartTime")):
            return "its time has not come, or is over"
        return ""


def _list_person(username: str, rdn: str, parameters: LdapParameters) -> dict[str, list[str]]:
    names = [parameters.full_name] if parameters.full_name else [username]
    values = {
        "uid": [username],
        "cn": names,
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


def _plan_keys(entry: Entry, new: Sequence[bytes]) -> dict[str, list[tuple[str, list[bytes]]]]:
    """Return the changes that give an entry these keys, and their class with the first of them."""
    old = entry.get_all("sshPublicKey")
    came = [value for value in new if value not in old]
    gone = [value for value in old if value not in new]
    changes: dict[str, list[tuple[str, list[bytes]]]] = {}
    if gone or came:
        parts = [(DELETE, gone)] if gone else []
        changes["sshPublicKey"] = parts + ([(ADD, came)] if came else [])
    classes = {name.lower(): name for name in entry.list_texts("objectClass")}
    if new and "ldappublickey" not in classes:
        changes["objectClass"] = [(ADD, [b"ldapPublicKey"])]
    elif not new and old and "ldappublickey" in classes:
        changes["objectClass"] = [(DELETE, [classes["ldappublickey"].encode()])]
    return changes


def find_policy_bar(answer: Answer) -> str:
    """Return why the password policy lets an account in no more, as far as the answer to a login tells."""
    return _POLICY_ERRORS.get(_read_policy_error(answer), "")


def _read_policy_error(answer: Answer) -> int:
    control: Mapping[str, Any] = answer.controls.get(POLICY[0]) or {}
    value = control.get("value")
    if isinstance(value, Mapping):
        return int(value.get("error", _NO_ERROR))
    # SEQUENCE { warning [0] OPTIONAL, error [1] ENUMERATED OPTIONAL }
    found = re.search(rb"\x81\x01(.)\Z", value, re.DOTALL) if isinstance(value, bytes) else None
    return found[1][0] if found else _NO_ERROR

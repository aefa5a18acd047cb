"""The end of an account, for a time or for good: it is disabled, enabled again, or removed."""

from typing import Final

from provost.connectors._ldap.answers import Answer, Code, Entry
from provost.connectors._ldap.directory import ADD, DELETE, REPLACE, Changes, Directory
from provost.connectors._ldap.names import join_dn, match
from provost.connectors.ldap.groups import Group, list_groups
from provost.connectors.ldap.keys import plan_keys
from provost.connectors.ldap.parameters import LdapOptions
from provost.connectors.ldap.policy import ENDED, LOCKED, POLICY_HERE, is_disabled
from provost.core.errors import ChangeRefused, ChangeUnknown, TargetError

_ASIDE: Final = b"provost: while disabled: "
"""In the description of an entry that is disabled: what it gets back when it is enabled."""


def disable(directory: Directory, options: LdapOptions, username: str, entry: Entry) -> None:
    """Let an account in no more, and put its keys aside.

    Raises:
        ChangeRefused: nothing was done; OpenLDAP would look at no lock, or did not take it.
    """
    if is_disabled(entry):
        return
    _check_policy(directory, options, username, entry)
    aside = [
        _ASIDE + name.encode() + b"=" + value
        for name in ("sshPublicKey", "pwdEndTime")
        for value in entry.get_all(name)
    ]
    changes: Changes = {
        "pwdEndTime": [(REPLACE, [ENDED])],
        "pwdAccountLockedTime": [(REPLACE, [LOCKED])],
        **plan_keys(entry, []),
    }
    if aside:
        changes["description"] = [(ADD, aside)]
    answer = directory.modify(entry.dn, changes, POLICY_HERE)
    if answer.code in {Code.UNAVAILABLE_CRITICAL_EXTENSION, Code.UNDEFINED_ATTRIBUTE_TYPE}:
        raise directory.refuse(
            f"cannot disable {username}: that takes OpenLDAP 2.5 or newer, with the overlay ppolicy on its "
            "database",
            answer,
            "disable_refused",
        )
    if answer.code != Code.SUCCESS:
        raise directory.refuse(f"did not disable {username}", answer, "disable_refused")


def _check_policy(directory: Directory, options: LdapOptions, username: str, entry: Entry) -> None:
    """Make sure that a policy is in force for an account: without one, no lock on it is looked at."""
    dn = entry.get("pwdPolicySubentry") or options.password_policy
    if dn is None:
        raise ChangeRefused(
            f"{username} cannot be disabled on {directory.asset}: without a password policy in force, "
            "OpenLDAP looks at no lock. Name the default one in the asset's option password_policy.",
            code="disable_refused",
        )
    policy = directory.read(dn, ["objectClass"])
    if policy is None or "pwdpolicy" not in {name.lower() for name in policy.list_texts("objectClass")}:
        raise ChangeRefused(
            f"{username} cannot be disabled on {directory.asset}: the policy {dn} is not there, or "
            "may not be read.",
            code="disable_refused",
        )


def enable(directory: Directory, username: str, entry: Entry) -> None:
    """Let an account in again, with the keys that it had."""
    aside = [value for value in entry.get_all("description") if value.startswith(_ASIDE)]
    kept = [value.removeprefix(_ASIDE).partition(b"=") for value in aside]
    keys = [value for name, _, value in kept if name == b"sshPublicKey"]
    ends = [value for name, _, value in kept if name == b"pwdEndTime"]
    changes = plan_keys(entry, [*dict.fromkeys([*entry.get_all("sshPublicKey"), *keys])])
    if is_disabled(entry):
        changes["pwdEndTime"] = [(REPLACE, ends)]
    if entry.get_all("pwdAccountLockedTime"):
        changes["pwdAccountLockedTime"] = [(REPLACE, [])]
    if aside:
        changes["description"] = [(DELETE, aside)]
    answer = directory.modify(entry.dn, changes)
    if answer.code != Code.SUCCESS:
        raise directory.refuse(f"did not enable {username}", answer, "enable_refused")


def remove(directory: Directory, options: LdapOptions, username: str, entry: Entry | None) -> str:
    """Remove an account, or what groups still say of it. Returns what the operator should know.

    Raises:
        ChangeUnknown: it is out of a group, and still there.
        ChangeRefused: nothing was done.
    """
    dn = entry.dn if entry else join_dn(options.rdn, username, options.base_dn)
    kept, left = [], False
    for group in _list_memberships(directory, options, username, dn):
        for attribute, value in group.list_references(username, dn):
            answer = directory.modify(group.dn, {attribute: [(DELETE, [value.encode()])]})
            if answer.code == Code.OBJECT_CLASS_VIOLATION:
                kept.append(group.name)  # a group of names is never empty
            elif answer.code == Code.SUCCESS:
                left = True
            elif answer.code != Code.NO_SUCH_ATTRIBUTE:
                what = f"did not take {username} out of the group {group.name}"
                raise _refuse_removal(directory, what, answer, begun=left)
    if entry is not None:
        answer = directory.delete(entry.dn)
        if answer.code not in {Code.SUCCESS, Code.NO_SUCH_OBJECT}:
            raise _refuse_removal(directory, f"did not remove {username}", answer, begun=left)
    return f"The only member of {', '.join(kept)} it was, and is named there still." if kept else ""


def _list_memberships(directory: Directory, options: LdapOptions, username: str, dn: str) -> list[Group]:
    tests = match("memberUid", username) + match("member", dn) + match("uniqueMember", dn)
    return list_groups(directory, options.groups_dn, f"(|{tests})")


def _refuse_removal(directory: Directory, what: str, answer: Answer, *, begun: bool) -> TargetError:
    if begun:
        return ChangeUnknown(f"{directory.asset} {what}: {answer.text}.", code="remove_unfinished")
    return directory.refuse(what, answer, "change_refused")

"""A privileged session on an OpenLDAP server. All of it runs in the thread of the session's connection."""

from collections.abc import AsyncIterator, Sequence
from functools import partial
from typing import Any, Final

from provost.connectors._keys import KeyStrategy
from provost.connectors._ldap.answers import Answer, Code, Entry
from provost.connectors._ldap.directory import DELETE
from provost.connectors._ldap.names import escape, fold_dn, is_dn, join_dn
from provost.connectors._ldap.session import DirectorySession
from provost.connectors.ldap.creation import MARK, Creation
from provost.connectors.ldap.discovery import list_facts
from provost.connectors.ldap.groups import list_groups
from provost.connectors.ldap.keys import plan_keys, put_key, take_keys
from provost.connectors.ldap.leaving import disable, enable, remove
from provost.connectors.ldap.parameters import PROTECTED, LdapOptions, LdapParameters
from provost.connectors.ldap.policy import POLICY, find_policy_bar, set_password
from provost.connectors.ldap.verdicts import judge_key, judge_login
from provost.core.connector import (
    Applied,
    Change,
    Removal,
    Verification,
    Withdrawal,
    answer_each,
    check_expendable,
    expect,
)
from provost.core.errors import ChangeRefused, LoginRefused
from provost.core.facts import Facts
from provost.core.model import Decision
from provost.core.secrets import SshKey

_READ: Final = (
    "objectClass", "description", "sshPublicKey", "uidNumber", "pwdAccountLockedTime", "pwdEndTime",
    "pwdStartTime", "pwdPolicySubentry",
)  # fmt: skip


class LdapSession(DirectorySession):
    """One connection, bound as the privileged account."""

    login_controls = (POLICY,)
    mark = ("description", MARK)
    _options: LdapOptions

    def __init__(self, *, options: LdapOptions, **common: Any) -> None:
        super().__init__(options=options, **common)
        self.name_attribute = options.rdn
        self._creation = Creation(self._directory, options)

    # Logging in

    @property
    def login_name(self) -> str:
        """The name that the privileged account binds with."""
        if is_dn(self.actor, self._options.base_dn):
            return self.actor
        if self._options.bind_dn is None:
            return self._name_absent(self.actor)
        return self._options.bind_dn.replace("{username}", escape(self.actor))

    def _find_policy_bar(self, answer: Answer) -> str:
        return find_policy_bar(answer)

    def _check_rights(self) -> None:
        """Have the base lose what it does not have: rights are looked at before that is seen."""
        asset, base = self._target.asset, self._options.base_dn
        if self._directory.read(base, ["1.1"]) is None:
            raise LoginRefused(
                f"{asset} shows {self.actor} no {base}: is the option base_dn right, and may the account read "
                "there?",
                code="rights_missing",
            )
        answer = self._directory.modify(base, {"description": [(DELETE, [b"provost: may this be changed?"])]})
        if answer.code in {Code.INSUFFICIENT_ACCESS_RIGHTS, Code.UNWILLING_TO_PERFORM, Code.REFERRAL}:
            raise LoginRefused(
                f"{self.actor} may not write to {base} on {asset}: {answer.text}.", code="rights_missing"
            )

    # Looking

    def _name_absent(self, username: str) -> str:
        return join_dn(self._options.rdn, username, self._options.base_dn)

    def _name_exactly(self, username: str) -> str | None:
        """Return the name of an entry that need not be below the base: a privileged account's."""
        if is_dn(username, self._options.base_dn):
            return username
        return self.login_name if username == self.actor else None

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
        base = self._options.groups_dn
        groups = list_groups(self._directory, base, "(objectClass=*)") if base else None
        return list_facts(self._directory, self._options, groups, {self.actor: self.login_name})

    # Changing

    def _apply(self, change: Change) -> str:
        parameters = expect(change.parameters, LdapParameters)
        if change.decision is not Decision.ADOPT:
            self._create(change, parameters)
            return ""
        entry = self._get(change.username)
        if isinstance(change.secret, SshKey):
            self._set_key(entry, change, change.secret, parameters)
        else:
            set_password(self._directory, entry.dn, change.username, change.secret)
        return ""

    def _create(self, change: Change, parameters: LdapParameters) -> None:
        username = change.username
        if self._name_exactly(username) is not None:
            raise ChangeRefused(
                f"{username} is not below {self._options.base_dn} on {self._target.asset}, where Provost "
                "creates accounts.",
                code="create_refused",
            )
        groups = self._creation.prepare(username, parameters)
        self._creation.create(change, parameters, groups, self._find(username))

    def _set_key(self, entry: Entry, change: Change, key: SshKey, parameters: LdapParameters) -> None:
        new = put_key(
            entry.get_all("sshPublicKey"),
            key,
            strategy=KeyStrategy.APPEND if change.overlap else parameters.key_strategy,
            options=parameters.key_options,
            after=change.replaces if change.overlap else None,
        )
        answer = self._directory.modify(entry.dn, plan_keys(entry, new))
        if answer.code != Code.SUCCESS:
            raise self._directory.refuse(f"did not take the key of {change.username}", answer, "key_refused")

    def withdraw(self, withdrawals: Sequence[Withdrawal]) -> AsyncIterator[Applied]:
        """Take keys away."""
        return answer_each(withdrawals, partial(self._do, self._withdraw))

    def _withdraw(self, withdrawal: Withdrawal) -> str:
        username = withdrawal.username
        entry = self._find(username)
        if entry is not None:
            left = take_keys(entry.get_all("sshPublicKey"), withdrawal.keep, withdrawal.gone)
            answer = self._directory.modify(entry.dn, plan_keys(entry, left))
            if answer.code != Code.SUCCESS:
                raise self._directory.refuse(f"did not take the keys of {username} away", answer, "key_refused")
        return ""

    # Ending

    def _check_expendable(self, username: str, entry: Entry | None) -> None:
        acts = username == self.actor or (entry is not None and fold_dn(entry.dn) == fold_dn(self.login_name))
        needed = username in PROTECTED or (entry is not None and entry.get_number("uidNumber") == 0)
        check_expendable(username, self._target.asset, acts=acts, needed=needed)

    def _disable(self, username: str) -> str:
        entry = self._find(username)
        self._check_expendable(username, entry)
        if entry is not None:
            disable(self._directory, self._options, username, entry)
        return ""

    def _enable(self, username: str) -> str:
        enable(self._directory, username, self._get(username))
        return ""

    def _remove(self, removal: Removal) -> str:
        entry = self._find(removal.username)
        self._check_expendable(removal.username, entry)
        return remove(self._directory, self._options, removal.username, entry)

    # Verifying

    def _look_for(self, username: str, key: SshKey) -> Verification:
        return judge_key(self._find(username), self._target.asset, username, key)

    def _judge(self, username: str, answer: Answer) -> Verification:
        return judge_login(answer, self._target.asset, username, self._find_named)

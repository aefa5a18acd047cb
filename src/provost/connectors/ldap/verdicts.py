"""What is known of a secret after a login by it, or after a look for a key."""

from collections.abc import Callable

from provost.connectors._ldap.answers import Answer, Code, Entry, doubt
from provost.connectors.ldap.keys import holds
from provost.connectors.ldap.policy import find_policy_bar, is_disabled, must_change
from provost.core.connector import Verification
from provost.core.errors import TargetError
from provost.core.model import Verdict
from provost.core.secrets import SshKey


def judge_login(
    answer: Answer, asset: str, username: str, find_entry: Callable[[str], Entry | None]
) -> Verification:
    """Return what a login told of a password. A refused one is looked into by the account's entry."""
    if answer.code == Code.SUCCESS:
        told = "Its password must be changed first, says the password policy." if must_change(answer) else ""
        return Verification(Verdict.ACCEPTED, message=told)
    if answer.code != Code.INVALID_CREDENTIALS:
        return doubt(answer, asset, username)
    try:
        bar = find_policy_bar(answer) or _find_bar(find_entry(username))
    except TargetError as error:
        return Verification(Verdict.UNKNOWN, error.code, error.message, refused=True)
    if bar:
        return Verification(
            Verdict.UNKNOWN,
            "policy_forbids_login",
            f"{asset} does not let {username} in: {bar}.",
            refused=True,
        )
    return Verification(
        Verdict.REJECTED,
        "login_rejected",
        f"{asset} did not let {username} in: {answer.text}.",
        refused=True,
    )


def judge_key(entry: Entry | None, asset: str, username: str, key: SshKey) -> Verification:
    """Return what an account's entry tells of a key."""
    if entry and is_disabled(entry):
        return Verification(Verdict.UNKNOWN, "policy_forbids_login", f"{username} is disabled on {asset}.")
    if entry and holds(entry.get_all("sshPublicKey"), key):
        return Verification(
            Verdict.UNKNOWN,
            "no_login_by_key",
            f"{asset} holds this key of {username}. A directory lets nobody in by it: no login proves it.",
        )
    return Verification(Verdict.REJECTED, "key_absent", f"{asset} does not hold this key of {username}.")


def _find_bar(entry: Entry | None) -> str:
    """Return why an account is let in by no password, as far as its entry tells."""
    if entry is None:
        return ""
    if is_disabled(entry):
        return "it is disabled"
    if entry.get_all("pwdAccountLockedTime"):
        return "it is locked after too many wrong passwords, or was so"
    if entry.get_all("pwdEndTime") or entry.get_all("pwdStartTime"):
        return "its time has not come, or is over"
    return ""

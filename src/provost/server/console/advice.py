"""What a reason of a record or a run means, and what to do next: for each code of docs/reasons.md."""

from dataclasses import dataclass
from typing import Any, Final

from django.utils.translation import gettext_lazy as _


@dataclass(frozen=True, slots=True)
class Advice:
    """What happened, and what to do next."""

    happened: Any
    next: Any


ADVICE: Final[dict[str, Advice]] = {
    # No fault
    "dry_run": Advice(
        _("This was a dry run: nothing was changed."),
        _("Push the same from the page Push to do what the decisions say."),
    ),
    "unsettled": Advice(
        _("A dry run: an earlier run left these accounts open, and a dry run does not try their secrets."),
        _("Push: it first finds out by a login which secret is in force."),
    ),
    "settled": Advice(
        _("A login proved that an earlier run had set the secret; it is the one in the list now."),
        _("Nothing."),
    ),
    "not_verified": Advice(
        _("The host acknowledged the change; the push was told not to try a login."),
        _("Nothing. Leave verification on for the next push to have each login proven."),
    ),
    # The run
    "no_privileged_account": Advice(
        _("The asset has no privileged account whose secret Provost holds, so it was not touched."),
        _("Open the asset, add its privileged account with the secret, and press Retry on the run."),
    ),
    "asset_busy": Advice(
        _("Another run has worked on the asset for ten minutes."),
        _("See under Runs which one is running; when it is over, press Retry on this one."),
    ),
    "asset_gone": Advice(
        _("The asset was removed before the run came to it."),
        _("Nothing, if that was intended."),
    ),
    "secret_does_not_decrypt": Advice(
        _("A stored secret is damaged. Other assets are not concerned."),
        _("Replace the secret on the account's page, or restore the database from a backup, then press Retry."),
    ),
    "pair_active": Advice(
        _("The account came into use in its pair after the rotation was asked for."),
        _("Rotate the pair: the account that is idle now gets the new secret."),
    ),
    "cancelled": Advice(
        _("The run was stopped before it changed anything here."),
        _("Press Retry to do the rest."),
    ),
    "interrupted": Advice(
        _("The run was stopped in the middle, or its process ended."),
        _("Press Retry: it finds out by a login what was set, and goes on."),
    ),
    "internal_error": Advice(
        _("Provost met a fault of its own. The server's log has the details, without secrets."),
        _("Starting it again is safe. Report it with the lines of the log."),
    ),
    # On the way to the asset
    "unreachable": Advice(
        _("No connection, or it broke before anything was changed."),
        _("Check the address and port on the asset's page, the routing and the firewall. Then press Retry."),
    ),
    "connection_refused": Advice(
        _("Nothing listens at this address and port."),
        _("Start its server, or mend address and port on the asset's page. Then press Retry."),
    ),
    "connect_timeout": Advice(
        _("No answer came in time."),
        _("Is the host up, and does a firewall let Provost through? To slow hosts push with a longer timeout."),
    ),
    "address_unknown": Advice(
        _("The name does not resolve to an address."),
        _("Mend the address on the asset's page, or the resolver of Provost's server. Then press Retry."),
    ),
    "gateway_failed": Advice(
        _("The gateway in front of the asset cannot be passed; the message has its error."),
        _("Mend the gateway: its login must work, and its sshd must allow TCP forwarding. Then press Retry."),
    ),
    "ssh_failed": Advice(
        _("The host's sshd and Provost found no common ground."),
        _("Read the message: mostly the host's algorithms are too old, and its sshd needs an update."),
    ),
    "host_key_changed": Advice(
        _("The host shows another key than the one that Provost knows. It may be another machine."),
        _("Find out why before anything else. If it was reinstalled, trust its new key on the asset's page."),
    ),
    "host_key_unknown": Advice(
        _("The server is set to connect to known hosts only, and this one's key is not known."),
        _("Check the host's key, and add it to the server's known_hosts file. Then press Retry."),
    ),
    "certificate_refused": Advice(
        _("The server's certificate is not believed: unknown issuer, another name, or expired."),
        _("Give the asset its issuer's certificate or the right name. If it was right before, find out why."),
    ),
    "tls_unavailable": Advice(
        _("The server does not speak TLS, and the asset is set to be reached by it."),
        _("Switch TLS on at the server, or set the asset's option to go without; secrets may then be read."),
    ),
    "tls_required": Advice(
        _("The server takes no password in clear, and the asset is set to go without TLS."),
        _("Set the asset's option tls back to verify, or its option starttls. Then press Retry."),
    ),
    "rights_missing": Advice(
        _("The privileged account was let in, and may not do there what Provost needs."),
        _("Grant it the rights that the documentation of its kind names. Then press Retry."),
    ),
    "too_many_connections": Advice(
        _("The server takes no more connections."),
        _("End some, or raise its limit. Then press Retry."),
    ),
    "known_hosts_unreadable": Advice(
        _("The known_hosts file that the server is set to use cannot be read."),
        _("Mend the file, or the setting PROVOST_KNOWN_HOSTS; see the page Settings. Then press Retry."),
    ),
    # Becoming root
    "privileged_login_refused": Advice(
        _("The host refused every privileged account; each was tried once."),
        _("Replace the privileged account's secret: open it from the asset's page. Then press Retry."),
    ),
    "login_unanswered": Advice(
        _("The host was given the privileged account's password, and its answer was not heard."),
        _("It may have been refused, so it is not tried again by itself. When the host is up, press Retry."),
    ),
    "become_unanswered": Advice(
        _("sudo or su was given the password, and its answer was not heard."),
        _("It may have been refused, so it is not tried again by itself. When the host is up, press Retry."),
    ),
    "login_method_unavailable": Advice(
        _("The host offers no way to log in with this type of secret."),
        _("Allow it there, or give the privileged account another type of secret. Then press Retry."),
    ),
    "not_root": Advice(
        _("The login worked, but the privileged account is not root."),
        _("On the account's page choose how it gets its rights: sudo or su. Then press Retry."),
    ),
    "become_refused": Advice(
        _("sudo or su did not make the privileged account root."),
        _("Check its password, the host's sudo rule, and requiretty. Then press Retry."),
    ),
    "acl_unavailable": Advice(
        _("The server has no ACL users, or hides the command that looks them up."),
        _("Update it: Redis has them since version 6.0."),
    ),
    "shell_failed": Advice(
        _("The host gave no shell, or one that makes no sense."),
        _("Log in by hand: does /bin/sh run, and is the login silent? Then press Retry."),
    ),
    "shell_timeout": Advice(
        _("No shell came in time."),
        _("Is the host overloaded, or its login slow? Press Retry later, or push with a longer timeout."),
    ),
    "connection_lost": Advice(
        _("The connection ended before the host answered."),
        _("Look at the host's log: does something end the session at login? Then press Retry."),
    ),
    "host_busy": Advice(
        _("A shell of another run is still at work on the host."),
        _("Wait a minute, then press Retry."),
    ),
    # Looking
    "lookup_failed": Advice(
        _("Whether the account exists could not be established, so nothing was changed."),
        _("Mend the host's name service (sssd, nslcd, winbind). Then press Retry."),
    ),
    "cleanup_failed": Advice(
        _("An account whose creation failed could not be removed; a note on the host tells the next push."),
        _("Mend what the message says. Then press Retry: it goes on where this one ended."),
    ),
    "name_differs": Advice(
        _("The directory has the account under another spelling, and takes both for the same name."),
        _("Push the name as the message has it."),
    ),
    "name_ambiguous": Advice(
        _("The directory has several accounts by this name."),
        _("Rename or remove all but one, or push the full name of the entry that is meant."),
    ),
    "appeared": Advice(
        _("Somebody else created the account while Provost was at work."),
        _("Press Retry: it is taken as it is now."),
    ),
    # Changing
    "create_refused": Advice(
        _("The target refused to create the account; the message has its words."),
        _("Mend the parameter that it names, such as a group that does not exist, and push again."),
    ),
    "password_refused": Advice(
        _("The target refused the password, which is as it was before."),
        _("Mostly it is the target's password policy: push with other password rules, or change the policy."),
    ),
    "password_unsure": Advice(
        _("The host refused the password, and what it left could not be checked."),
        _("Press Retry. An account that comes from a directory cannot get a password on the host."),
    ),
    "key_refused": Advice(
        _("The key could not be written; the old file is as it was."),
        _("Read the message: rights, a quota or a full disk. Mend it on the host, then press Retry."),
    ),
    "no_home": Advice(
        _("The account's home folder does not exist."),
        _("Make it on the host, or push with the parameter create_home on."),
    ),
    "unsafe_path": Advice(
        _("A symbolic link, or a folder that others may write in, is on the way to authorized_keys."),
        _("Remove the link, or mend the folder's mode on the host. Then press Retry."),
    ),
    "keys_disabled": Advice(
        _("The host's sshd takes no keys: its AuthorizedKeysFile is none."),
        _("Push a password, or change sshd_config. Then press Retry."),
    ),
    "keys_file_unknown": Advice(
        _("The host's sshd does not tell where authorized_keys is."),
        _("Set the option authorized_keys_file on the asset's page. Then press Retry."),
    ),
    "sudo_missing": Advice(
        _("A sudo rule was asked for, and the host has no visudo."),
        _("Install sudo on the host and press Retry, or push without the parameter sudo."),
    ),
    "sudoers_d_unused": Advice(
        _("The host's /etc/sudoers does not include /etc/sudoers.d."),
        _("Add the line @includedir /etc/sudoers.d there. Then press Retry."),
    ),
    "sudo_refused": Advice(
        _("The host's visudo refuses the sudo rule."),
        _("Push again with another parameter sudo."),
    ),
    "host_not_writable": Advice(
        _("Nothing can be written where it must be: a full or read-only disk."),
        _("Mend the disk on the host. Then press Retry."),
    ),
    "no_builtin_printf": Advice(
        _("The host's /bin/sh would show a password in the list of processes, so none was set."),
        _("Make /bin/sh dash, bash or BusyBox's ash, or push an SSH key."),
    ),
    "no_useradd": Advice(
        _("The host has neither useradd nor adduser."),
        _("Install one of them. Then press Retry."),
    ),
    "unsupported_parameter": Advice(
        _("The host's tools cannot do what a parameter asks for."),
        _("Push to such hosts without that parameter."),
    ),
    "grant_refused": Advice(
        _("The server refused a role or a grant. A new account was dropped again."),
        _("Mend the parameter that the message names, such as a role that does not exist. Then press Retry."),
    ),
    "not_persistent": Advice(
        _("The server cannot save accounts: they would be lost when it restarts, so none was changed."),
        _("Give it a file to save them in, or set the asset's option persist to never. Then press Retry."),
    ),
    "not_saved": Advice(
        _("The change was made, and then could not be saved: a restart of the server would undo it."),
        _("Mend the server's disk or file, and press Retry."),
    ),
    "answer_lost": Advice(
        _("The host stopped answering in the middle of the change."),
        _("See that the host is up. Then press Retry."),
    ),
    "key_unsure": Advice(
        _("An old key was taken out of one of the account's files, and not out of the next."),
        _("Mend what the message says. Then press Retry."),
    ),
    # Ending an account
    "protected_account": Advice(
        _("The asset cannot do without this account: it is root, or came with the system."),
        _("Nothing. It is left alone."),
    ),
    "acting_account": Advice(
        _("This account, or another name of its uid, is the one that acts on the asset."),
        _("Let another privileged account act there. Then press Retry."),
    ),
    "not_local": Advice(
        _("The account comes from a directory, not from the host."),
        _("Disable or remove it in the directory."),
    ),
    "uid_shared": Advice(
        _("Another account has the same uid, so what belongs to which cannot be told."),
        _("Give one of them a uid of its own, and press Retry. Or remove it by hand."),
    ),
    "disable_refused": Advice(
        _("The host did not lock the account; it is as it was."),
        _("Mend what the message says, such as a full disk. Then press Retry."),
    ),
    "disable_unsure": Advice(
        _("The account was locked in part."),
        _("Mend what the message says. Then press Retry."),
    ),
    "enable_refused": Advice(
        _("The host did not let the account in again; it is as disabled as it was."),
        _("Mend what the message says, then press Retry. If there is no such account, push it."),
    ),
    "enable_unsure": Advice(
        _("The account lets keys in again; its password is locked still."),
        _("Rotate its password, or mend what the message says and press Retry."),
    ),
    "processes_left": Advice(
        _("The account is locked. Something of it still runs on the target."),
        _("Look at what the message names. Then press Retry, or end it by hand if two accounts share the uid."),
    ),
    "objects_depend": Advice(
        _("Views, routines, triggers or events of the server run as this account, so it was not removed."),
        _("Give them another definer and press Retry. Or remove the account with definers set to leave."),
    ),
    "archive_failed": Advice(
        _("The home could not be archived, so nothing was removed."),
        _("Make room on the host and press Retry. Or remove the account with another archive_folder or home."),
    ),
    "remove_unfinished": Advice(
        _("A part of the account is gone, and the rest could not be removed."),
        _("Mend what the message says. Then press Retry: it goes on."),
    ),
    # Verifying
    "login_rejected": Advice(
        _("The host acknowledged the change, and then refused the login."),
        _(
            "Look at the host's log for that moment: a login shell that does not exist, a lock-out, a password "
            "that must be changed. Then press Retry."
        ),
    ),
    "policy_forbids_login": Advice(
        _("The host lets nobody log in to this account, whatever the secret; the message says which setting."),
        _("Nothing, if that is intended."),
    ),
    "key_options_forbid": Advice(
        _("The key's own options (from=, expiry-time=) may forbid a login from here, or by now."),
        _("Nothing, if that is intended."),
    ),
    "no_login_by_key": Advice(
        _("The directory holds the key, and lets nobody in by it itself, so no login can prove it."),
        _("Nothing. Log in to a host that takes its keys from there to be sure."),
    ),
    "key_absent": Advice(
        _("The directory does not hold this key of the account."),
        _("Reconcile the account, and find out who took the key away."),
    ),
    "policy_unreadable": Advice(
        _("The login was refused, and the host could not be asked whether its policy forbids it."),
        _("See that the host is up. Then verify again."),
    ),
    "no_private_half": Advice(
        _("Provost holds the public half of the key alone, and cannot log in with it."),
        _("Nothing."),
    ),
    # Verifying and reconciling what is in the list
    "out_of_sync": Advice(
        _("The asset refuses the secret that the list holds: it was changed there."),
        _("Reconcile sets the secret in the list there again. Find out who changed it."),
    ),
    "account_absent": Advice(
        _("The account is not on the asset any more."),
        _("Push it to create it again with the secret in the list, or take it off the list."),
    ),
    "no_secret": Advice(
        _("Provost holds no secret of this type for the account."),
        _("Push one, or add the one in force on the page Accounts."),
    ),
    "reconciled": Advice(
        _("The account was out of sync; the secret in the list was set again, and a login proved it."),
        _("Find out who changed it, if nobody should have."),
    ),
    "lockout_guard": Advice(
        _("The asset has refused this account too often within an hour: one more could lock it out."),
        _("Wait until the hour is over, then press Retry. If it is out of sync, reconcile it."),
    ),
    # Rotating
    "old_key_left": Advice(
        _("The new key is in force, and the old one could not be taken off the asset; the message says why."),
        _("Mend what the message says, then rotate again: that takes old keys of Provost's away as well."),
    ),
    # Disabling and removing
    "still_there": Advice(
        _("The asset acknowledged the removal, and has the account still."),
        _("Look on the host: something may make it anew, such as configuration management. Then press Retry."),
    ),
    "account_not_ours": Advice(
        _("Provost did not create the account, so it is not disabled or removed without force."),
        _("On the account's page, an administrator can do it all the same."),
    ),
    "account_privileged": Advice(
        _("Provost works on the asset with this account, so it is not disabled or removed."),
        _("Make another account privileged, and this one not. Then try again."),
    ),
    "account_protected": Advice(
        _("The asset cannot do without this account, so Provost never disables or removes it."),
        _("Leave it out."),
    ),
    "action_unsupported": Advice(
        _("Assets of this kind have no way to do that."),
        _("Leave them out."),
    ),
    # What has no code of its own
    "change_refused": Advice(
        _("The target refused the change, and is as it was."),
        _("Mend what the message says. Then press Retry."),
    ),
    "target_error": Advice(
        _("The target did something unexpected."),
        _("Read the message. Then press Retry."),
    ),
    # A run that did not begin, or could not go on
    "still_running": Advice(
        _("The task's run before was not over when it was due again, so this one was left out."),
        _("Look at that run. If it happens often, give the task a longer interval."),
    ),
    "too_many_found": Advice(
        _("An onboarding rule fits too many unknown accounts on an asset: it took none of them."),
        _("Look on the page Discovered where they come from. Adopt them there, or make a rule for fewer."),
    ),
    "asset_not_found": Advice(
        _("An asset that the task names is not there any more."),
        _("Edit the task and take it out, or add the asset again. Then run the task."),
    ),
    "node_not_found": Advice(
        _("A node that the task names is not there any more."),
        _("Edit the task and take it out, or add the node again. Then run the task."),
    ),
    "no_assets": Advice(
        _("There is no asset in what the task names."),
        _("Put assets into its nodes, or edit the task. Then run it."),
    ),
    "no_accounts": Advice(
        _("The task names no account, or there is none in the list that it is about."),
        _("Edit the task, or push accounts first. Then run it."),
    ),
    "push_too_large": Advice(
        _("The task means more than 200,000 accounts."),
        _("Make several tasks of it."),
    ),
    "kind_not_found": Advice(
        _("The kind of an asset is not installed on this server."),
        _("Install its connector, or take the asset out of the task."),
    ),
    "username_refused": Advice(
        _("A username cannot be used on one of the assets; the message says why."),
        _("Edit the task. Then run it."),
    ),
    "secret_refused": Advice(
        _("The secret cannot be set exactly on one of the assets; the message says why."),
        _("Edit the task and give another. Then run it."),
    ),
    "secret_type_refused": Advice(
        _("One of the assets takes no secret of this type."),
        _("Edit the task. Then run it."),
    ),
    "parameter_refused": Advice(
        _("No asset knows a parameter of the task, or it cannot be used."),
        _("Edit the task. Then run it."),
    ),
    "rules_impossible": Advice(
        _("No password can follow the task's rules."),
        _("Edit the task's password rules. Then run it."),
    ),
    "secret_not_held": Advice(
        _("Provost no longer holds the secret that was given."),
        _("Edit the task and give the secret again, or push anew."),
    ),
    "forbidden": Advice(
        _("Whoever started it may not work on all of these assets."),
        _("Ask an administrator."),
    ),
    "master_key_missing": Advice(
        _("The file of the master key is not there, so no secret can be read."),
        _("Put it back as the message says. Then start the push or the task again."),
    ),
    "master_key_unreadable": Advice(
        _("The file of the master key cannot be read, so no secret can be."),
        _("Mend the file as the message says. Then start the push or the task again."),
    ),
    "master_key_exposed": Advice(
        _("Others may read the file of the master key, so Provost does not use it."),
        _("Mend its mode as the message says. Then start the push or the task again."),
    ),
    "master_key_wrong": Advice(
        _("The file holds another master key than this database's."),
        _("Put the right one back. Then start the push or the task again."),
    ),
    "not_initialised": Advice(
        _("There is no keyset in this database."),
        _("Run provost init on the server. Then start the push or the task again."),
    ),
}

_BY_STATUS: Final[dict[tuple[str, str], Advice]] = {
    ("uncertain", "connection_lost"): Advice(
        _("The connection broke in the middle of the change."), _("See that the host is up. Then press Retry.")
    ),
    ("uncertain", "unreachable"): Advice(
        _("The connection broke in the middle of the change."), _("See that the host is up. Then press Retry.")
    ),
    ("unverified", "login_method_unavailable"): Advice(
        _("The target takes no secret of this type for the account, so no login could be tried."),
        _("Nothing, if that is intended."),
    ),
}
_UNVERIFIED: Final = Advice(
    _("No login could be tried, so nobody knows whether the secret is in force. What was set is in the list."),
    _("See the message for why. Verify again when that is mended, or log in by hand to be sure."),
)
_UNKNOWN: Final = Advice(_("The message says what happened."), _("Mend it, then press Retry."))
_FORBIDDEN_LOGINS: Final = frozenset(
    {"policy_forbids_login", "key_options_forbid", "no_login_by_key", "no_private_half"}
)


def find_advice(reason: str, status: str = "") -> Advice | None:
    """Return what a reason means for a record of that status, or for a run; None: there is nothing to say."""
    if not reason:
        return None
    if found := _BY_STATUS.get((status, reason)):
        return found
    if status == "unverified" and reason not in _FORBIDDEN_LOGINS:
        return _UNVERIFIED
    return ADVICE.get(reason, _UNKNOWN)

"""What the families of devices are told, as data: see `dialogs` for how it is written."""

from dataclasses import dataclass, replace
from typing import Final

from provost.connectors.network_device.dialogs import Dialog, read_dialog
from provost.connectors.network_device.parameters import DeviceOptions
from provost.core.errors import Refused

_REFUSED: Final = (
    r"(?im)^[ \t]*(?:%|error\b|\^\s*$|invalid\b|unknown\b|unrecognized\b|incomplete\b|ambiguous\b"
    r"|syntax error|missing argument|permission denied|command authorization failed"
    r"|.*\bnot (?:authorized|permitted)\b)"
)


@dataclass(frozen=True, slots=True)
class Family:
    """How devices of one family are worked.

    `entry` fits each line of what `look_up` answers that is about an account, with its `name`, and where it can
    be told `level` and `off`.  An account without a line that `complete` fits was begun and not ended.
    `enter` and `leave` are about the mode in which the dialogs are spoken, if there is one.  With `commit`,
    nothing is in force before it, and `undo` takes all back.  `saved` fits the answer to a save that worked.
    """

    look_up: str
    entry: str
    create: Dialog
    set_password: Dialog
    remove: Dialog
    save: Dialog = ()
    saved: str = ""
    complete: str = ""
    enter: Dialog = ()
    leave: Dialog = ()
    commit: Dialog = ()
    undo: Dialog = ()
    refused: str = _REFUSED
    prompt: str = ""
    superuser: str = ""


CISCO: Final = Family(
    look_up="show running-config | include ^username",
    entry=r"(?m)^username (?P<name>\S+)(?: privilege (?P<level>\d+))?",
    enter=read_dialog("configure terminal"),
    leave=read_dialog("end"),
    create=read_dialog("username {username} privilege {privilege} secret 9 {scrypt}"),
    set_password=read_dialog("username {username} secret 9 {scrypt}"),
    remove=read_dialog("no username {username}\n/\\[confirm\\]/"),
    save=read_dialog("write memory\n/\\[confirm\\]/"),
    saved=r"\[OK\]",
    superuser="15",
)

_HUAWEI_SETS: Final = (
    "local-user {username} password\n/(?i)confirm[^:\\n]*password[^:\\n]*:/ {password}\n"
    "/(?i)enter[^:\\n]*password[^:\\n]*:/ {password}\n"
)
"""Sets a password, whether there is an account or not, as what follows for Junos does."""

HUAWEI: Final = Family(
    look_up="display current-configuration | include local-user",
    entry=r"(?m)^\s*local-user (?P<name>\S+) (?:privilege level (?P<level>\d+)|state (?P<off>block)|)",
    complete=r"service-type",
    enter=read_dialog("system-view"),
    leave=read_dialog("return"),
    create=read_dialog(
        "aaa\n" + _HUAWEI_SETS + "local-user {username} privilege level {privilege}\n"
        "local-user {username} service-type ssh\nquit"
    ),
    set_password=read_dialog("aaa\n" + _HUAWEI_SETS + "quit"),
    remove=read_dialog("aaa\nundo local-user {username}\n/(?i)\\[y\\/n\\]/ y\nquit"),
    save=read_dialog("save\n/(?i)\\[y\\/n\\]/ y"),
    saved=r"(?i)success",
    superuser="15",
)

_JUNIPER_SETS: Final = 'set system login user {username} authentication encrypted-password "{sha512}"'

JUNIPER: Final = Family(
    look_up="show configuration system login | display set",
    entry=r"(?m)^(?:(?P<off>deactivate) |set )system login user (?P<name>\S+)(?: class (?P<level>\S+))?",
    complete=r"authentication",
    enter=read_dialog("configure private"),
    leave=read_dialog("exit configuration-mode\n/uncommitted changes/ yes"),
    create=read_dialog("set system login user {username} class {role}\n" + _JUNIPER_SETS),
    set_password=read_dialog(_JUNIPER_SETS),
    remove=read_dialog("delete system login user {username}"),
    commit=read_dialog("commit"),
    undo=read_dialog("rollback 0"),
    saved=r"commit complete",
    superuser="super-user",
)

FAMILIES: Final = {
    "cisco_ios": CISCO,
    "cisco_xe": CISCO,
    "huawei": HUAWEI,
    "huawei_vrp": HUAWEI,
    "juniper": JUNIPER,
    "juniper_junos": JUNIPER,
}
"""By Netmiko's names."""


def choose_family(options: DeviceOptions) -> Family:
    """Return how a device is worked: as its family is, but for what the asset's options say otherwise.

    Raises:
        Refused: the options do not say it all.
    """
    family = FAMILIES.get(options.device_type)
    given = options.read_dialogs()
    if family is None:
        missing = sorted({"look_up", "entry", "create", "set_password"} - given.keys())
        if missing:
            raise Refused(
                f"Provost knows no commands of the device type {options.device_type}; the asset needs the "
                f"options {', '.join(missing)}, too.",
                code="parameter_refused",
            )
        return Family(**{"remove": (), **given})
    return replace(family, **given)

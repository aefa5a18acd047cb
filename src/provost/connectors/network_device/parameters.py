"""What an operator may say about a network device, and about accounts pushed to it."""

from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationInfo

from provost.connectors.network_device.dialogs import PLACEHOLDERS, check_pattern, read_dialog

PROTECTED: Final = frozenset({"root"})
"""What Junos has whatever is configured."""

_DIALOGS: Final = {
    "create": PLACEHOLDERS,
    "set_password": PLACEHOLDERS,
    "remove": frozenset({"username"}),
    "save": frozenset[str](),
}
"""By option, what can be filled in."""
_TEXTS: Final = ("look_up", "entry", "prompt", "refused", "saved")


def _check_dialog(text: str, info: ValidationInfo) -> str:
    if not read_dialog(text, _DIALOGS[str(info.field_name)]):
        raise ValueError("holds no command")
    return text


def _check_entry(text: str) -> str:
    if "(?P<name>" not in check_pattern(text):
        raise ValueError("needs a group (?P<name>...) for the username")
    return text


_Line = Annotated[str, Field(pattern=r"^[\x20-\x7e]+$")]
_Dialog = Annotated[
    str, AfterValidator(_check_dialog), Field(json_schema_extra={"contentMediaType": "text/plain"})
]
_Pattern = Annotated[str, AfterValidator(check_pattern)]


class DeviceOptions(BaseModel):
    """Options of a network device."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    device_type: str = Field(
        pattern=r"^[a-z0-9_]+$",
        description="Netmiko's name of what runs on it; Provost knows the commands of cisco_ios, cisco_xe, "
        "huawei, huawei_vrp, juniper and juniper_junos; for generic and all others, the options below say them",
    )
    look_up: _Line | None = Field(None, description="command that lists the accounts")
    entry: Annotated[str, AfterValidator(_check_entry)] | None = Field(
        None, description="regular expression of an account in that list, with a group (?P<name>...)"
    )
    create: _Dialog | None = Field(
        None,
        description="commands that create {username} with {password}, one a line; a line /REGEX/ ANSWER "
        "answers what the command above it asks; also {privilege}, {role}, and as hashes {sha512}, {scrypt}",
    )
    set_password: _Dialog | None = Field(None, description="commands that set the password of an account")
    remove: _Dialog | None = Field(None, description="commands that remove an account")
    save: _Dialog | None = Field(None, description="commands that save the configuration")
    saved: _Pattern | None = Field(None, description="regular expression of the answer to a save that worked")
    prompt: _Pattern | None = Field(None, description="regular expression of the prompt, in all modes")
    refused: _Pattern | None = Field(
        None, description="regular expression of an answer by which the device refuses a command"
    )

    def read_dialogs(self) -> dict[str, Any]:
        """Return what is said about commands here, dialogs as such."""
        told = {name: text for name in (*_DIALOGS, *_TEXTS) if (text := getattr(self, name)) is not None}
        return {name: read_dialog(text) if name in _DIALOGS else text for name, text in told.items()}


class DeviceParameters(BaseModel):
    """Parameters of a push to network devices. An account that exists keeps its rights."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    privilege: int = Field(
        1, ge=0, le=15, description="privilege level of an account that is created (Cisco, Huawei)"
    )
    role: str = Field(
        "read-only",
        pattern=r"^[A-Za-z0-9_.-]{1,64}$",
        description="login class of an account that is created (Juniper), or what the dialogs have as {role}",
    )


class DeviceRemoval(BaseModel):
    """Parameters of a removal from network devices: there are none."""

    model_config = ConfigDict(extra="forbid", frozen=True)

"""What was asked for, in words; a secret is never part of it."""

from collections.abc import Sequence
from typing import Final

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from provost.core.durations import write_duration
from provost.core.model import SecretType, Strategy
from provost.core.push import PushSpec
from provost.core.specs import (
    DisableSpec,
    DiscoverSpec,
    ReconcileSpec,
    RemoveSpec,
    RotateSpec,
    Spec,
    VerifySpec,
)

_SHOWN: Final = 20


def describe_spec(spec: Spec) -> list[tuple[str, str]]:
    """Return what was asked for, as names and texts."""
    parameters = spec.parameters if isinstance(spec, PushSpec | RotateSpec | RemoveSpec) else {}
    rows = [
        (_("Accounts"), describe_accounts(spec)),
        (_("Assets"), join(spec.assets)),
        (_("Nodes, with all below them"), join(spec.nodes)),
        (_("Only of kind"), join(spec.kinds) if isinstance(spec, PushSpec) else ""),
        (_("Secret"), describe_secret(spec)),
        (_("Parameters"), join([f"{name} = {text}" for name, text in sorted(parameters.items())])),
        (_("Login afterwards"), _describe_proof(spec)),
        (_("Lifetime"), _describe_life(spec)),
        (_("By force"), _describe_force(spec)),
        (
            _("Limits"),
            _("%(hosts)s assets at once, %(connect)s s to connect, %(command)s s for a command")
            % {
                "hosts": spec.concurrency,
                "connect": f"{spec.connect_timeout:g}",
                "command": f"{spec.command_timeout:g}",
            },
        ),
    ]
    return [(name, text) for name, text in rows if text]


def join(names: Sequence[str], shown: int = _SHOWN) -> str:
    """Return names as one text: the first few, and how many more."""
    text = ", ".join(names[:shown])
    if more := len(names[shown:]):
        return ngettext("%(names)s and %(more)s more", "%(names)s and %(more)s more", more) % {
            "names": text,
            "more": more,
        }
    return text


def _describe_proof(spec: Spec) -> str:
    if not isinstance(spec, PushSpec):
        return ""
    return _("tried for each account") if spec.verify else _("not tried")


def _describe_life(spec: Spec) -> str:
    if not isinstance(spec, PushSpec) or spec.lifetime is None:
        return ""
    return _("%(lifetime)s, and removed %(grace)s later") % {
        "lifetime": write_duration(spec.lifetime),
        "grace": write_duration(spec.grace),
    }


def describe_accounts(spec: Spec) -> str:
    """Return in words which accounts are meant."""
    if isinstance(spec, DiscoverSpec):
        return _("all that there are")
    if spec.usernames:
        return join(spec.usernames)
    if isinstance(spec, RotateSpec) and not spec.privileged:
        return _("all in the list, but for privileged ones")
    return _("all in the list")


def _describe_force(spec: Spec) -> str:
    if not (isinstance(spec, DisableSpec | RemoveSpec) and spec.force):
        return ""
    return _("also accounts that Provost did not create")


def describe_secret(spec: Spec) -> str:
    """Return in words what is set, or which secrets are looked at."""
    if isinstance(spec, VerifySpec | ReconcileSpec):
        return {
            None: _("passwords and SSH keys"),
            SecretType.PASSWORD: _("passwords alone"),
            SecretType.SSH_KEY: _("SSH keys alone"),
        }[spec.secret_type]
    return _describe_new(spec) if isinstance(spec, PushSpec | RotateSpec) else ""


def _describe_new(spec: PushSpec | RotateSpec) -> str:
    if spec.strategy is Strategy.SPECIFIED:
        if spec.secret_type is SecretType.PASSWORD:
            return _("a password that was given, the same for every account")
        return _("an SSH key that was given, the same for every account")
    if spec.secret_type is SecretType.SSH_KEY:
        return _("a new SSH key for every account (%(algorithm)s)") % {"algorithm": spec.key_algorithm}
    classes = join([name for name, _alphabet, _least in spec.rules.list_classes()])
    return _("a random password for every account: %(length)s characters (%(classes)s)") % {
        "length": spec.rules.length,
        "classes": classes,
    }

"""How privileged accounts come by their rights, in words."""

from typing import Any

from django.utils.translation import gettext as _

from provost.core.documents import KindDocument
from provost.core.model import Become
from provost.core.rights import Principal
from provost.server.api import kinds


def find_kind(visitor: Principal, name: str) -> KindDocument:
    """Return a kind that there is."""
    return next(one for one in kinds.list_kinds(visitor) if one.kind == name)


def list_becomes(kind: KindDocument | None) -> list[tuple[str, Any]]:
    """Return the ways that a kind has, as choices; None: all, as long as it is not known."""
    words = {
        Become.NONE: _("it has them by itself, as root has"),
        Become.SUDO: _("by sudo, with its own password if sudo asks for one"),
        Become.SU: _("by su, with the password of the account root"),
    }
    return [(one, words[one]) for one in (list(Become) if kind is None else kind.becomes)]

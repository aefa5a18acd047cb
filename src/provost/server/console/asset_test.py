"""Whether Provost can log in to an asset: a dry run of its privileged account, which changes nothing there."""

from dataclasses import dataclass
from typing import Final

from django.contrib import messages
from django.http import HttpResponse
from django.shortcuts import redirect, render
from django.urls import URLPattern, path, reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from provost.core.documents import AssetDetailDocument, PrivilegedDocument, RecordDocument, RunDocument
from provost.core.errors import Refused
from provost.core.model import SecretState, SecretType
from provost.core.push import PushSpec
from provost.core.requests import PushBody, RecordQuery
from provost.core.rights import Principal, Right
from provost.server.api import accounts, assets, runs
from provost.server.console.progress import ALIVE
from provost.server.console.visitors import Visit


@dataclass(frozen=True, slots=True)
class LoginTest:
    """A dry run on one asset, and its record once that is settled.

    `actor` is the privileged account that was logged in as and is root; `refused` are those that were tried
    before it.
    """

    run: RunDocument
    record: RecordDocument | None
    actor: PrivilegedDocument | None
    refused: list[str]

    @property
    def is_over(self) -> bool:
        """Tell whether there is nothing more to come."""
        return self.record is not None or self.run.state not in ALIVE


@require_POST
def test_login(request: Visit, name: str) -> HttpResponse:
    """Begin a test: a dry run of the privileged account that is tried first."""
    request.visitor.require(Right.OPERATE, what="test logins")
    asset = assets.show_asset(request.visitor, name)
    try:
        run = runs.push(request.visitor, PushBody(spec=_make_spec(request.visitor, asset), dry_run=True))
    except Refused as error:
        messages.error(request, error.message)
        return redirect("console:asset", name)
    if request.htmx:
        return _show(request, asset, str(run.id))
    return redirect(f"{reverse('console:asset', args=[name])}?test={run.id}")


@require_safe
def show_test(request: Visit, name: str, run: str) -> HttpResponse:
    """Show how a test goes, for its place in the asset's page."""
    return _show(request, assets.show_asset(request.visitor, name), run)


def read_test(by: Principal, asset: AssetDetailDocument, run_id: str) -> LoginTest:
    """Return how a test of an asset went, or goes.

    Raises:
        NotFound: there is no such run.
    """
    run = runs.show_run(by, run_id)
    found = runs.list_records(by, run_id, RecordQuery(limit=1, search=asset.name)).items
    record = next((one for one in found if one.asset == asset.name and one.status is not None), None)
    usable = [one for one in asset.privileged if one.usable]
    names = [one.username for one in usable]
    tried = names.index(record.actor) if record and record.actor in names else 0
    actor = usable[tried] if record and record.actor in names else None
    return LoginTest(run, record, actor, names[:tried])


def _make_spec(by: Principal, asset: AssetDetailDocument) -> PushSpec:
    """Return what to push dry: the first privileged account, with the type of secret that is held of it."""
    first = next((one for one in asset.privileged if one.usable), None)
    if first is None:
        raise Refused(
            _("%(name)s has no privileged account whose secret is held: there is nothing to log in with.")
            % {"name": asset.name},
            code="no_privileged_account",
        )
    held = accounts.show_account(by, f"{first.username}@{asset.name}").secrets
    types = [one.secret_type for one in held if one.state is SecretState.CURRENT and not one.public_only]
    return PushSpec(
        assets=(asset.name,),
        usernames=(first.username,),
        secret_type=next(iter(types), SecretType.PASSWORD),
    )


def _show(request: Visit, asset: AssetDetailDocument, run_id: str) -> HttpResponse:
    facts = {"asset": asset, "test": read_test(request.visitor, asset, run_id)}
    return render(request, "console/asset_test.html", facts)


urlpatterns: Final[list[URLPattern]] = [
    path("assets/<str:name>/test", test_login, name="asset_test"),
    path("assets/<str:name>/test/<str:run>", show_test, name="asset_test_run"),
]

"""The same request again is the same run, and only that."""

from typing import Any

import pytest
from tests.server.conftest import compete

from provost.core import requests as said
from provost.core.errors import Conflict, Forbidden, NotFound, Refused
from provost.core.model import SecretType
from provost.core.push import PushSpec
from provost.core.rights import Granted, Principal, Right, Role
from provost.core.secrets import SshKey

OPERATOR = Granted(Role.OPERATOR, "/prod")


def push(by: Principal, key: str | None = "key", secret: said.SecretBody | None = None, **fields: Any) -> Any:
    from provost.server.api.runs import push

    usual = {"assets": ("inside1",), "usernames": ("bob",), "secret_type": SecretType.PASSWORD}
    return push(by, said.PushBody(spec=PushSpec(**{**usual, **fields}), secret=secret), key=key)


def count() -> int:
    from provost.server.models import Run

    return Run.objects.count()


def test_same_request_is_the_same_run(world: Any) -> None:
    """Asked again, the answer is the run of the first time; without a key, each request is a run."""
    by = world.enter("olga", OPERATOR)
    before = count()
    first = push(by)
    assert push(by).id == first.id
    assert count() == before + 1
    assert push(by, "other").id != first.id
    assert push(by, None).id != push(by, None).id
    assert count() == before + 4


def test_key_is_each_users_own(world: Any) -> None:
    """Another's key is another request, and nobody learns that it was used."""
    olga, otto = world.enter("olga", OPERATOR), world.enter("otto", OPERATOR)
    assert push(olga).id != push(otto, usernames=("eve",)).id


def test_other_request_conflicts(world: Any) -> None:
    """Another body under a used key is refused, and so is another secret; the same secret is not."""
    by = world.enter("olga", OPERATOR)
    mine = said.SecretBody(password="hush-mine")
    first = push(by, secret=mine)
    assert push(by, secret=mine).id == first.id
    before = count()
    another = said.SecretBody(password="hush-other")
    for other in ({"usernames": ("eve",)}, {"secret": another}, {"secret": None}):
        with pytest.raises(Conflict) as caught:
            push(by, **{"secret": mine, **other})
        assert caught.value.code == "idempotency_key_reused"
        assert "hush" not in caught.value.message
    assert count() == before


def test_other_public_key_conflicts(world: Any) -> None:
    """A public key is no secret, and still another request."""
    from provost.server.services import idempotency, runs

    by = world.enter("olga", OPERATOR)
    spec = PushSpec(assets=("inside1",), usernames=("bob",), secret_type=SecretType.SSH_KEY)

    def once(public: str) -> Any:
        return idempotency.once(
            by=by,
            key="key",
            asked="the same",
            secret=SshKey(public),
            begin=lambda secret: runs.create_run(by=by, spec=spec, specified=secret),
        )

    assert once("ssh-ed25519 AAAA").id == once("ssh-ed25519 AAAA").id
    with pytest.raises(Conflict):
        once("ssh-ed25519 BBBB")


def test_failed_attempt_frees_its_key(world: Any) -> None:
    """What was refused is no answer: the key may be used for what then works."""
    by = world.enter("olga", OPERATOR)
    with pytest.raises(NotFound):
        push(by, assets=("nosuch",))
    push(by)


@pytest.mark.parametrize("key", ["", "x" * 256, "a\nb"])
def test_key_that_cannot_be_is_refused(world: Any, key: str) -> None:
    """A key has 1 to 255 printable characters."""
    with pytest.raises(Refused) as caught:
        push(world.enter("olga", OPERATOR), key)
    assert caught.value.code == "idempotency_key_refused"


def test_key_shows_no_run_that_is_out_of_reach(world: Any) -> None:
    """Who has lost a node is not shown what they began there; a token without `view` is shown nothing."""
    from dataclasses import replace

    from provost.server.services.assets import describe_fields, edit_asset, find_asset

    by = world.enter("olga", OPERATOR)
    push(by)
    fields = describe_fields(by=world.local, asset=find_asset(by=world.local, name="inside1"))
    edit_asset(by=world.local, name="inside1", fields=replace(fields, nodes=("/outside/web",)))
    with pytest.raises(NotFound):
        push(by)
    with pytest.raises(Forbidden):
        push(replace(by, limit=frozenset({Right.OPERATE})))


def test_two_at_once_make_one_run(world: Any) -> None:
    """The same request six times at the same moment is one run, and one entry of the trail."""
    from provost.server.models import AuditEntry, IdempotencyKey

    by = world.enter("olga", OPERATOR)
    before = count(), AuditEntry.objects.count()
    found = []
    compete(*[lambda: found.append(push(by).id)] * 6)
    assert len(set(found)) == 1
    assert (count(), AuditEntry.objects.count()) == (before[0] + 1, before[1] + 1)
    assert IdempotencyKey.objects.count() == 1

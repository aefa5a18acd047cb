"""The audit trail: that everything is in it and no secret, and that nobody changes it unseen."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from tests.server.asked import ASKED
from tests.server.conftest import compete

from provost.core import requests as said
from provost.core.errors import NotFound, VaultError
from provost.core.model import SecretType
from provost.core.operations import OPERATIONS
from provost.core.rights import Granted, Principal, Role, make_local

BY = make_local("tester")

# What each operation that changes something, or shows a secret, is called in the trail, and about what.
WRITTEN = {
    "nodes.add_node": ("node.add", "node /prod/new"),
    "nodes.edit_node": ("node.rename", "node /prod/web"),
    "nodes.remove_node": ("node.remove", "node /prod/empty"),
    "assets.add_asset": ("asset.add", "asset new1"),
    "assets.edit_asset": ("asset.edit", "asset inside1"),
    "assets.remove_asset": ("asset.remove", "asset inside1"),
    "assets.trust_asset": ("asset.trust", "asset inside1"),
    "imports.import_inventory": ("inventory.import", "inventory inventory"),
    "accounts.add_account": ("account.add", "account carol@inside1"),
    "accounts.reveal": ("account.reveal", "account inside-alice@inside1"),
    "accounts.edit_account": ("account.edit", "account inside-alice@inside1"),
    "accounts.remove_account": ("account.forget", "account inside-alice@inside1"),
    "pairs.add_pair": ("pair.add", "pair new"),
    "pairs.remove_pair": ("pair.remove", "pair inside-pair"),
    "pairs.rotate_pair": ("run.create", "run "),
    "runs.push": ("run.create", "run "),
    "runs.retry_run": ("run.retry", "run "),
    "runs.cancel_run": ("run.cancel", "run "),
    "found.accept": ("found.accept", "found inside-found@inside1"),
    "found.ignore": ("found.ignore", "found inside-found@inside1"),
    "found.forget": ("found.forget", "found inside-gone@inside1"),
    "found.enlist": ("found.enlist", "found inside-found@inside1"),
    "found.adopt": ("run.create", "run "),
    "rules.add_rule": ("rule.add", "rule new"),
    "rules.edit_rule": ("rule.edit", "rule inside-rule"),
    "rules.remove_rule": ("rule.remove", "rule inside-rule"),
    "tasks.create_task": ("task.create", "task new"),
    "tasks.edit_task": ("task.edit", "task inside-task"),
    "tasks.delete_task": ("task.delete", "task inside-task"),
    "tasks.run_task": ("run.create", "run "),
    "users.add_user": ("user.add", "user mallory"),
    "users.edit_user": ("user.edit", "user someone"),
    "users.remove_user": ("user.remove", "user someone"),
    "users.remove_factors": ("user.remove_factors", "user someone"),
    "users.end_sessions": ("user.end_sessions", "user someone"),
    "users.end_session": ("user.end_sessions", "user someone"),
    "tokens.create_token": ("token.create", "token new of anna"),
    "tokens.revoke_token": ("token.revoke", "token ci of someone"),
    "channels.add_channel": ("channel.add", "channel new"),
    "channels.edit_channel": ("channel.edit", "channel pager"),
    "channels.remove_channel": ("channel.remove", "channel pager"),
    "channels.test_channel": ("channel.test", "channel pager"),
    "channels.send_again": ("channel.send_again", "channel pager"),
    "keys.rotate": ("key.rotate", "vault"),
}
READING = {"tell", "list", "show", "verify", "count", "sample", "preview"}


def ask(name: str, by: Principal, given: dict[str, Any]) -> Any:
    room, _, operation = name.partition(".")
    return getattr(import_module(f"provost.server.api.{room}"), operation)(by, **given)


def dump() -> str:
    """Return everything that the trail holds."""
    from provost.server.models import AuditEntry

    return json.dumps(list(AuditEntry.objects.values()), default=str)


def test_every_change_is_one_entry(world: Any) -> None:
    """Each operation that changes something writes who did what from where, once; reading writes nothing."""
    from django.db import transaction

    from provost.server.models import AuditEntry

    by = world.enter("anna", Granted(Role.ADMINISTRATOR, reveal=True))
    for operation in OPERATIONS:
        name = f"{operation.room}.{operation.name}"
        if name == "who.set_up":
            continue
        before = AuditEntry.objects.count()
        with transaction.atomic():
            answer = ask(name, by, ASKED[name]("inside", world))
            written = AuditEntry.objects.filter(number__gt=before)
            if name not in WRITTEN:
                assert operation.name.partition("_")[0] in READING, name
                assert not written, name
            else:
                (entry,) = written
                action, subject = WRITTEN[name]
                assert entry.action == action
                assert (
                    entry.subject == subject if not subject.endswith(" ") else entry.subject.startswith(subject)
                )
                assert (entry.who, entry.face, entry.source) == ("anna", "api", "192.0.2.1")
            assert "hush" not in dump(), name
            if name == "tokens.create_token":
                assert answer.token not in dump()
            if name == "channels.add_channel":
                assert answer.secret not in dump()
            transaction.set_rollback(True)


def test_setup_is_written_down(database: object) -> None:
    """The first administrator and their token are an entry each, without the password and both tokens."""
    from provost.server.api.who import set_up
    from provost.server.models import AuditEntry
    from provost.server.services.users import prepare_setup

    del database
    token = prepare_setup()
    assert token is not None
    body = said.SetupBody(setup_token=token, username="anna", password="hush-tall-trees")
    made = set_up(Principal("anybody", BY.face, source="192.0.2.1"), body)
    entries = AuditEntry.objects.order_by("number").values_list("who", "action", "subject", "source")
    assert list(entries) == [
        ("setup", "user.add", "user anna", "192.0.2.1"),
        ("anna", "token.create", "token setup of anna", "192.0.2.1"),
    ]
    assert all(text not in dump() for text in (token, made.token, "hush"))


def test_edit_that_changes_nothing_is_no_entry(world: Any) -> None:
    """An asset or account that is given the fields it has keeps its version, and the trail does not grow."""
    from provost.server.api.accounts import edit_account
    from provost.server.api.assets import edit_asset, show_asset
    from provost.server.models import AuditEntry

    before = AuditEntry.objects.count()
    version = show_asset(world.local, "inside1").version
    assert edit_asset(world.local, "inside1", said.AssetPatch(address="inside1")).version == version
    edit_account(world.local, "root@inside1", said.AccountPatch(privileged=True))
    assert AuditEntry.objects.count() == before


def test_reveal_is_written_down_even_when_it_fails(world: Any) -> None:
    """Who asks for a secret is in the trail, also where there is none, or it does not decrypt."""
    from provost.server.models import AuditEntry
    from provost.server.models.secrets import SecretVersion
    from provost.server.services.accounts import reveal_secret

    asked = {"by": world.local, "username": "root", "asset": "inside1"}
    with pytest.raises(NotFound):
        reveal_secret(**asked, secret_type=SecretType.SSH_KEY)
    SecretVersion.objects.update(ciphertext=b"\0" * 40)
    with pytest.raises(VaultError):
        reveal_secret(**asked)
    entries = AuditEntry.objects.filter(action="account.reveal").order_by("number")
    assert [(one.subject, one.details["secret_type"]) for one in entries] == [
        ("account root@inside1", "ssh_key"),
        ("account root@inside1", "password"),
    ]


@contextmanager
def unguarded() -> Iterator[None]:
    """The database without the triggers that guard the trail: what its owner could do."""
    from django.db import connection

    append_only = import_module("provost.server.migrations.0004_append_only")
    with connection.schema_editor() as editor:
        append_only.drop_triggers(None, editor)
    yield
    with connection.schema_editor() as editor:
        append_only.create_triggers(None, editor)


@pytest.fixture
def trail(database: object) -> tuple[int, str]:
    """A trail of six entries. Returns the number and digest of the last."""
    from provost.server.services import audit

    del database
    for number in range(1, 7):
        audit.write(by=BY, action="node.add", subject=f"node /{number}", details={"number": number, "x": 1.5})
    proof = audit.verify()
    assert (proof.broken, proof.entries, proof.why) == (None, 6, "")
    return proof.entries, proof.digest


CHANGED = {
    "number": 9,
    "at": timedelta(microseconds=1),
    "who": "nobody",
    "token": "x",
    "face": "api",
    "source": "192.0.2.66",
    "request_id": "x",
    "action": "node.remove",
    "subject": "node /prod",
    "details": {"number": 3, "x": 1.25},
    "digest": "0" * 64,
}


def test_every_field_is_bound() -> None:
    """The changes below are of every field that an entry has."""
    from provost.server.models import AuditEntry

    assert {field.name for field in AuditEntry._meta.fields} == CHANGED.keys()


@pytest.mark.parametrize("field", CHANGED)
def test_changed_field_is_found(trail: tuple[int, str], field: str) -> None:
    """An entry with another value in any field is named."""
    from provost.server.models import AuditEntry
    from provost.server.services import audit

    del trail
    value = CHANGED[field]
    with unguarded():
        entry = AuditEntry.objects.filter(number=3)
        entry.update(**{field: entry.get().at + value if isinstance(value, timedelta) else value})
    assert audit.verify().broken == 3


def remove(*numbers: int) -> None:
    from provost.server.models import AuditEntry

    AuditEntry.objects.filter(number__in=numbers).delete()


def swap() -> None:
    from provost.server.models import AuditEntry

    for old, new in ((2, 100), (3, 2), (100, 3)):
        AuditEntry.objects.filter(number=old).update(number=new)


def move_head(number: int) -> None:
    from provost.server.models import AuditEntry, AuditHead

    entry = AuditEntry.objects.filter(number=number).first()
    AuditHead.objects.update(number=number, seal=entry.digest if entry else "")


def cut_off(number: int) -> None:
    remove(*range(number + 1, 10))
    move_head(number)


def put_back(number: int) -> None:
    """Cut the end off as somebody with the key could, or with the seal of that time."""
    from provost.server.models import AuditEntry, AuditHead
    from provost.server.services import audit, held

    remove(*range(number + 1, 10))
    digest = AuditEntry.objects.get(number=number).digest
    AuditHead.objects.update(number=number, seal=audit._seal(held.read_audit_key(), number, digest))


def remove_all() -> None:
    from provost.server.models import AuditHead

    remove(*range(1, 7))
    AuditHead.objects.all().delete()


def forge(*, head: bool) -> None:
    """Append an entry with a digest that somebody without the key made up."""
    from provost.server.models import AuditEntry

    last = AuditEntry.objects.get(number=6)
    last.number, last.digest = 7, "f" * 64
    last.save(force_insert=True)
    if head:
        move_head(7)


def replace_key() -> None:
    from provost.server.models.secrets import AuditKey

    AuditKey.objects.all().delete()


TAMPERED: dict[str, tuple[Callable[[], object], int | None, int | None]] = {
    # what was done, and the first broken entry: as it is found alone, and with the last entry noted elsewhere
    "swapped": (swap, 2, 2),
    "removed in the middle": (lambda: remove(3, 4), 3, 3),
    "removed the first": (lambda: remove(1), 1, 1),
    "removed the last": (lambda: remove(6), 6, 6),
    "removed all": (lambda: remove(*range(1, 7)), 1, 1),
    "cut off": (lambda: cut_off(4), 5, 5),
    "cut off whole": (lambda: cut_off(0), 1, 1),
    "cut off with the key": (lambda: put_back(4), None, 5),
    "removed all and the head": (remove_all, None, 1),
    "moved back the head": (lambda: move_head(4), 5, 5),
    "forged": (lambda: forge(head=False), 7, 7),
    "forged with the head": (lambda: forge(head=True), 7, 7),
    "replaced the key": (replace_key, 1, 1),
}


@pytest.mark.parametrize("done", TAMPERED)
def test_tampering_is_found(trail: tuple[int, str], done: str) -> None:
    """What is moved, taken out or put in is found; a trail cut off at its end, by what was noted before."""
    from provost.server.services import audit

    tamper, alone, noted = TAMPERED[done]
    with unguarded():
        tamper()
    assert audit.verify().broken == alone
    proof = audit.verify(expected=trail)
    assert proof.broken == noted
    assert proof.why.startswith("entry ")


def test_trail_written_anew_is_found_by_what_was_noted(trail: tuple[int, str]) -> None:
    """Cut off with the key and gone on with, a trail is whole by itself, and not the one that was noted."""
    from provost.server.services import audit

    with unguarded():
        put_back(3)
    for number in range(5):
        audit.write(by=BY, action="node.add", subject=f"node /other/{number}")
    assert audit.verify().broken is None
    assert audit.verify(expected=trail).broken == 6


def test_trail_cut_off_and_gone_on_with_is_found(trail: tuple[int, str]) -> None:
    """Who has the database alone can cut the end off, and the next entry does not hide that."""
    from provost.server.services import audit

    del trail
    with unguarded():
        cut_off(3)
    audit.write(by=BY, action="node.add", subject="node /other")
    assert audit.verify().broken == 4


def test_database_refuses_changes(trail: tuple[int, str]) -> None:
    """The database itself lets no entry be changed, deleted or overwritten."""
    from django.db import DatabaseError, connection

    from provost.server.models import AuditEntry
    from provost.server.services import audit

    columns = ", ".join(field.column for field in AuditEntry._meta.fields)
    copied = f"SELECT {columns} FROM server_auditentry WHERE number = 3"  # noqa: S608  # the columns are the model's
    statements = ["UPDATE server_auditentry SET who = 'x'", "DELETE FROM server_auditentry WHERE number = 6"]
    if connection.vendor == "postgresql":
        statements += [
            "TRUNCATE server_auditentry",
            f"INSERT INTO server_auditentry ({columns}) {copied} ON CONFLICT (number) DO UPDATE SET who = 'x'",
        ]
    else:
        statements.append(f"REPLACE INTO server_auditentry ({columns}) {copied}")
        statements.append(
            f"INSERT INTO server_auditentry ({columns}) {copied} ON CONFLICT DO UPDATE SET who = 'x'"
        )
    for statement in statements:
        with pytest.raises(DatabaseError, match="append-only"), connection.cursor() as cursor:
            cursor.execute(statement)
    assert audit.verify(expected=trail).broken is None


def test_writers_at_once_leave_one_chain(database: object) -> None:
    """Eight write at the same time, and one proves it meanwhile: numbers without gaps, never broken."""
    from provost.server.services import audit

    del database
    audit.write(by=BY, action="node.add", subject="node /first")

    def write() -> None:
        for number in range(15):
            audit.write(by=BY, action="node.add", subject=f"node /{number}")

    def prove() -> None:
        for _ in range(20):
            assert audit.verify().broken is None

    compete(*[write] * 8, prove)
    proof = audit.verify()
    assert (proof.broken, proof.entries) == (None, 121)


def test_first_writers_at_once_agree_on_the_key(database: object) -> None:
    """Of those that ask for the key before there is one, all get the same."""
    from provost.server.services import held

    del database
    keys: list[bytes] = []
    compete(*[lambda: keys.append(held.read_audit_key())] * 6)
    assert len(set(keys)) == 1


@pytest.mark.parametrize("master", [False, True])
def test_trail_outlives_its_keys(trail: tuple[int, str], master: bool) -> None:
    """After new keys, the trail is proven as before, and goes on."""
    from provost.server.services import audit, held, keyring
    from provost.server.services.rotation import rotate_keys

    rotate_keys(by=BY, master=master)
    keyring._cached = None
    held._decrypt_key.cache_clear()
    assert audit.verify(expected=trail).broken is None
    audit.write(by=BY, action="node.add", subject="node /7")
    assert (audit.verify(expected=trail).broken, audit.verify().entries) == (None, 8)


def test_trail_without_its_master_key_is_no_proof(trail: tuple[int, str]) -> None:
    """A key that does not decrypt is an error, not a broken trail."""
    from provost.server.models.secrets import AuditKey
    from provost.server.services import audit

    del trail
    AuditKey.objects.update(ciphertext=b"\0" * 40)
    with pytest.raises(VaultError, match="key of the audit trail does not decrypt"):
        audit.verify()


def test_entries_are_found(world: Any) -> None:
    """Entries are listed the newest first, by who, action, kinds of action, subject and time, page by page."""
    from provost.server.api.audit import list_entries, verify
    from provost.server.services import audit

    by = world.enter("audrey", Granted(Role.AUDITOR))
    audit.write(by=by, action="asset.trust", subject="asset inside1")

    def find(**query: Any) -> list[int]:
        numbers, cursor = [], None
        while True:
            page = list_entries(by, said.AuditQuery(limit=2, cursor=cursor, **query))
            numbers += [entry.number for entry in page.items]
            if (cursor := page.next) is None:
                return numbers

    everything = find()
    assert everything == list(range(len(everything), 0, -1))
    assert find(who="audrey") == everything[:1]
    assert len(find(action="asset.")) == 4
    assert len(find(action="asset.add", subject="asset inside1")) == 1
    newest = list_entries(by, said.AuditQuery(limit=1)).items[0]
    assert find(since=newest.at) == everything[:1]
    assert find(until=newest.at) == everything[1:]
    proof = verify(by, said.ProofQuery(number=newest.number, digest=newest.digest))
    assert (proof.whole, proof.entries, proof.digest) == (True, newest.number, newest.digest)


def test_export_is_an_entry(world: Any) -> None:
    """Who takes the whole trail is in it."""
    from provost.server.services import audit

    *_, last = audit.export_entries(by=world.local)
    assert (last.action, last.who) == ("audit.export", "tester")

"""Telling people and programs: what is written down for whom, and what comes of it at real receivers."""

import asyncio
import logging
import socket
import ssl
import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from tests.server.conftest import compete
from tests.server.receiver import receive
from tests.server.test_audit import dump
from tests.server.test_runs import BY, add_assets, describe, push, work_off
from tests.server.test_serve import make_certificate

from provost.connectors import memory
from provost.core import notices as told
from provost.core import requests as said
from provost.core.errors import Conflict, LookupFailed, NotFound, Refused
from provost.core.notices import ChannelKind, Event

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(autouse=True)
def hosts():
    """The hosts in memory, which every test finds empty."""
    memory.HOSTS.clear()
    yield memory.HOSTS
    memory.HOSTS.clear()


@pytest.fixture
def receiver():
    """A receiver of webhooks."""
    with receive() as receiver:
        yield receiver


async def refuse(at, username):
    """The script of a host where nothing can be looked up."""
    if at is memory.Step.OBSERVE and username != "root":
        raise LookupFailed("It does not say.")


def add(name="pager", address="http://127.0.0.1:1/", kind=ChannelKind.WEBHOOK, **fields):
    """Add a channel by the API's function, and return what that answers."""
    from provost.server.api.channels import add_channel

    return add_channel(BY, said.ChannelBody(name=name, kind=kind, address=address, **fields))


def carry():
    """Do what a courier does once."""
    from provost.worker.courier import carry_once

    asyncio.run(carry_once())


def make_due():
    """Let what waits be due now."""
    from django.utils import timezone

    from provost.server.models import Delivery

    Delivery.objects.filter(state="queued").update(next_try=timezone.now())


def list_deliveries(name="pager"):
    from provost.server.api.channels import list_deliveries

    return list_deliveries(BY, name, said.DeliveryQuery()).items


def try_channel(name="pager"):
    from provost.server.api.channels import test_channel

    return test_channel(BY, name)


def find_assets(*names):
    from provost.server.models import Asset

    return list(Asset.objects.filter(name__in=names).values_list("id", flat=True))


def tell_out_of_sync(*assets):
    """Tell that alice is out of sync on some assets."""
    from django.db import transaction

    from provost.server.services.notices import tell

    accounts = [told.OutOfSyncAccount(asset=name, username="alice", secret_type="password") for name in assets]
    with transaction.atomic():
        payload = told.OutOfSync(accounts=tuple(accounts))
        return tell(event=Event.OUT_OF_SYNC, payload=payload, asset_ids=find_assets(*assets))


def test_a_failed_run_is_told_signed_and_again_after_a_failure(receiver, hosts):
    """The receiver answers 500, and gets the same delivery, with the same id and body, signed anew."""
    made = add(address=receiver.url)
    add_assets("db1", "db2")
    hosts["db2"] = memory.Host(script=refuse)
    records = push(describe("alice", "bob"))
    receiver.answers.append(500)
    carry()
    (delivery,) = list_deliveries()
    assert (delivery.state, delivery.attempts, delivery.status) == ("queued", 1, 500)
    assert delivery.error == "The receiver answered 500."
    assert delivery.next_try is not None
    make_due()
    carry()
    (delivery,) = list_deliveries()
    assert (delivery.state, delivery.attempts, delivery.status, delivery.error) == ("delivered", 2, 204, "")
    first, second = (receiver.verify(index, made.secret) for index in range(2))
    assert first == second
    assert first["type"] == "run_failed"
    bad = [one for one in records.values() if one.status not in {"succeeded", "unchanged"}]
    assert bad
    assert first["data"]["counts"] == {
        status: sum(one.status == status for one in records.values())
        for status in {one.status for one in records.values()}
    }
    assert first["data"]["problems"][0]["assets"] == ["db2"]
    ids = {one["headers"]["webhook-id"] for one in receiver.got}
    assert ids == {str(delivery.id)}
    assert "root" not in receiver.got[0]["body"].decode()


def test_nothing_is_told_of_what_went_well_or_was_a_trial(hosts):
    """A run that succeeds, and a dry run that does not, are no news."""
    from provost.server.services.runs import create_run

    add()
    add_assets("db1")
    push(describe("alice"))
    hosts["db1"].script = refuse
    dry = create_run(by=BY, spec=describe("bob"), specified=None, dry_run=True)
    records = work_off(dry)
    assert {one.status for one in records.values()} == {"failed"}
    assert list_deliveries() == []


def test_a_channel_is_told_of_its_node_and_its_events_alone(hosts):
    """Of a run and of accounts in two nodes, each channel hears of its own, and only what it wants."""
    from provost.server.api.channels import edit_channel

    add_assets("web1", node="/prod/web")
    add_assets("dev1", node="/dev")
    add("all")
    add("prod", node="/prod")
    add("dev", node="/dev", events=(Event.OUT_OF_SYNC,))
    add("off", active=False)
    for name in ("web1", "dev1"):
        hosts[name] = memory.Host(script=refuse)
    push(describe("alice", nodes=("/prod", "/dev")))
    assert tell_out_of_sync("web1") == 2
    assert tell_out_of_sync("web1", "dev1") == 3
    heard = {name: [one.payload for one in list_deliveries(name)] for name in ("all", "prod", "dev", "off")}
    assert [len(heard[name]) for name in heard] == [3, 3, 1, 0]
    for name, names in (("all", ["dev1", "web1"]), ("prod", ["web1"])):
        assert heard[name][2]["counts"] == {"failed": len(names)}
        assert heard[name][2]["problems"][0]["assets"] == names
    assert [one["asset"] for one in heard["dev"][0]["accounts"]] == ["dev1"]
    assert [one["asset"] for one in heard["prod"][0]["accounts"]] == ["web1"]
    edit_channel(BY, "prod", said.ChannelPatch(node=None))
    assert tell_out_of_sync("dev1") == 3


def test_what_is_rolled_back_is_not_told():
    """A delivery is part of the transaction that it tells about."""
    from django.db import transaction

    add()
    add_assets("db1")
    with transaction.atomic():
        tell_out_of_sync("db1")
        transaction.set_rollback(True)
    assert list_deliveries() == []


def test_of_very_many_accounts_the_first_are_listed():
    """A delivery stays small, and says how many more there are."""
    add()
    add_assets("db1")
    from provost.server.services.notices import tell

    accounts = tuple(told.UnknownAccount(asset="db1", username=f"user{number}") for number in range(250))
    ids = find_assets("db1")
    tell(event=Event.UNKNOWN_ACCOUNTS, payload=told.UnknownAccounts(accounts=accounts), asset_ids=ids)
    (delivery,) = list_deliveries()
    assert (len(delivery.payload["accounts"]), delivery.payload["more"]) == (100, 150)


def test_a_receiver_that_is_away_is_tried_again():
    """A refused connection is another attempt later; it is said why, without the address."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    made = add(address=f"http://127.0.0.1:{port}/hush-hook")
    try_channel()
    carry()
    (delivery,) = list_deliveries()
    assert (delivery.state, delivery.attempts, delivery.status) == ("queued", 1, None)
    assert delivery.error == "The receiver cannot be reached: Connection refused."
    assert "hush" not in delivery.error
    with receive(port) as receiver:
        make_due()
        carry()
        assert list_deliveries()[0].state == "delivered"
        assert receiver.verify(0, made.secret)["data"] == {"requested_by": "tester"}


def test_after_eight_attempts_it_is_given_up_and_can_be_sent_again(receiver):
    """Then it waits for somebody to send it again, with all its attempts before it."""
    from provost.server.api.channels import send_again

    add(address=receiver.url)
    made = try_channel()
    receiver.answers += [503] * 8
    for attempt in range(1, 9):
        assert list_deliveries()[0].state == "queued", attempt
        make_due()
        carry()
    (delivery,) = list_deliveries()
    assert (delivery.state, delivery.attempts, delivery.next_try) == ("failed", 8, None)
    carry()
    assert len(receiver.got) == 8
    again = send_again(BY, "pager", str(made.id))
    assert (again.state, again.attempts) == ("queued", 0)
    carry()
    assert list_deliveries()[0].state == "delivered"
    assert {one["headers"]["webhook-id"] for one in receiver.got} == {str(made.id)}


def test_the_pauses_last_a_day_at_most():
    """Each pause is longer than the one before, chance shortens it, and together they are within 24 hours."""
    longest = [told.find_pause(attempt, 0.0) for attempt in range(1, 9)]
    assert longest[-1] is None
    pauses = [pause for pause in longest if pause is not None]
    assert len(pauses) == 7
    assert pauses == sorted(set(pauses))
    assert timedelta(hours=20) < sum(pauses, timedelta()) <= timedelta(hours=24)
    assert timedelta(seconds=4) <= told.find_pause(1, 1.0) < timedelta(seconds=5)


def test_a_redirect_is_not_followed(receiver):
    """It is a failure that says what to do; nothing goes to the other address."""
    add(address=receiver.url)
    try_channel()
    receiver.answers.append(302)
    carry()
    (delivery,) = list_deliveries()
    assert (delivery.state, delivery.status) == ("queued", 302)
    assert "is not followed" in delivery.error
    assert [one["path"] for one in receiver.got] == ["/hush-hook"]


def test_gone_switches_the_channel_off(receiver):
    """At 410 the channel is off, what waits is given up, the trail says why; switched on, it tells again."""
    from provost.server.api.channels import edit_channel, show_channel
    from provost.server.models import AuditEntry

    add(address=receiver.url)
    add_assets("db1")
    try_channel()
    receiver.answers.append(410)
    carry()
    assert not show_channel(BY, "pager").active
    assert tell_out_of_sync("db1") == 0
    entry = AuditEntry.objects.latest("number")
    assert (entry.who, entry.action, entry.subject) == ("provost", "channel.edit", "channel pager")
    edit_channel(BY, "pager", said.ChannelPatch(active=True))
    assert tell_out_of_sync("db1") == 1
    edit_channel(BY, "pager", said.ChannelPatch(active=False))
    assert {one.state for one in list_deliveries()} == {"failed"}
    carry()
    assert len(receiver.got) == 1


def test_two_couriers_never_send_the_same_at_once(receiver):
    """While one has deliveries on their way, another finds none of them due; each comes once."""
    from provost.server.services.channels import send_again

    add(address=receiver.url)
    deliveries = [try_channel() for _ in range(6)]
    opened = threading.Event()
    receiver.hold = lambda: opened.wait(10)
    first = threading.Thread(target=carry)
    first.start()
    while len(receiver.got) < 6:
        time.sleep(0.05)
    for one in deliveries:  # due once more, and still the first one's
        send_again(by=BY, name="pager", delivery_id=str(one.id))
    carry()
    assert len(receiver.got) == 6
    opened.set()
    first.join()
    assert {one.state for one in list_deliveries()} == {"delivered"}
    assert len({one["headers"]["webhook-id"] for one in receiver.got}) == 6


def test_couriers_that_compete_share_what_is_due(receiver):
    """Four that begin at the same moment send each delivery once."""
    add(address=receiver.url)
    for _ in range(8):
        try_channel()
    compete(*[carry] * 4)
    carry()
    ids = [one["headers"]["webhook-id"] for one in receiver.got]
    assert len(ids) == len(set(ids)) == 8


def test_what_a_killed_courier_had_comes_all_the_same(receiver):
    """Claimed and never settled: after its time another courier sends it, and the late one changes nothing."""
    from django.utils import timezone

    from provost.server.services.deliveries import Fate, Receipt, claim_due, settle

    add(address=receiver.url)
    try_channel()
    now = timezone.now()
    (lost,) = claim_due(now=now, limit=8)
    carry()
    assert claim_due(now=now + timedelta(seconds=110), limit=8) == []
    assert receiver.got == []
    (parcel,) = claim_due(now=now + timedelta(seconds=121), limit=8)
    settle(parcel=lost, receipt=Receipt(Fate.DELIVERED, 200), now=now)
    assert list_deliveries()[0].state == "queued"
    settle(parcel=parcel, receipt=Receipt(Fate.DELIVERED, 200), now=now)
    (delivery,) = list_deliveries()
    assert (delivery.state, delivery.attempts) == ("delivered", 2)


def test_networks_can_be_refused(receiver, settings):
    """Nothing is sent into a refused network, however its address is written, or by whatever name."""
    from ipaddress import ip_network

    port = receiver.server.server_port
    for name, host in (("plain", "127.0.0.1"), ("mapped", "[::ffff:127.0.0.1]"), ("named", "localhost")):
        add(name, address=f"http://{host}:{port}/hush-hook")
        try_channel(name)
    settings.WEBHOOK_REFUSED_NETWORKS = (ip_network("127.0.0.0/8"), ip_network("::1"))
    carry()
    for name in ("plain", "mapped", "named"):
        (delivery,) = list_deliveries(name)
        assert delivery.state == "failed"
        assert "not sent to the network" in delivery.error
    assert receiver.got == []
    settings.WEBHOOK_REFUSED_NETWORKS = ()
    try_channel("named")
    carry()
    assert [one["headers"]["host"] for one in receiver.got] == [f"localhost:{port}"]


@pytest.mark.parametrize(
    ("host", "refused"),
    [
        ("0", True),
        ("0.0.0.0", True),  # noqa: S104  # nothing is bound to it
        ("::", True),
        ("::ffff:0.0.0.0", True),
        ("64:ff9b::0.0.0.0", True),
        ("64:ff9b::169.254.169.254", True),
        ("169.254.169.254", True),
        ("100.100.100.200", True),
        ("168.63.129.16", True),
        ("fd20:ce::254", True),
        ("fd00:ec2::254", True),
        ("fe80::1", True),
        ("10.0.0.1", False),
        ("127.0.0.1", False),
        ("64:ff9b::10.0.0.1", False),
        ("100.100.100.201", False),
    ],
)
def test_networks_that_are_refused_by_default(host, refused):
    """What means the machine itself, and where clouds tell of it, however that is written."""
    from provost.worker.webhook import look_up

    url = f"http://[{host}]:1/" if ":" in host else f"http://{host}:1/"
    assert (asyncio.run(look_up(url)) == []) == refused


@pytest.mark.parametrize(
    "address",
    [
        "ftp://hooks.example.org/",
        "file:///etc/passwd",
        "https://me:hush@hooks.example.org/",
        "https:///nowhere",
        "https://hooks.example.org:0/",
        "https://hooks.example.org:99999/",
        "https://hooks.example.org/a b",
        "https://hooks.example.org/\nx",
        "hooks.example.org",
        "https://hooks.example.org/#part",
    ],
)
def test_what_is_no_address_of_a_webhook_is_refused(address):
    """Other schemes, credentials, and what is no URL."""
    with pytest.raises(Refused) as refused:
        add(address=address)
    assert refused.value.code == "address_refused"
    assert "hush" not in refused.value.message


def test_fields_are_checked():
    """E-mail addresses, names, events, nodes; and two of one name."""
    add("mail", "ops@example.org", ChannelKind.EMAIL)
    for fields, code in (
        ({"kind": ChannelKind.EMAIL, "address": "ops@example.org, root@example.org"}, "address_refused"),
        ({"kind": ChannelKind.EMAIL, "address": "ops"}, "address_refused"),
        ({"name": "a b"}, "name_refused"),
        ({"events": (Event.TEST,)}, "events_refused"),
        ({"name": "mail"}, "channel_exists"),
        ({"node": "/nowhere"}, "node_not_found"),
    ):
        with pytest.raises((Refused, NotFound)) as refused:
            add(**{"name": "other"} | fields)
        assert refused.value.code == code


def test_the_signing_secret_is_shown_once_and_kept_encrypted():
    """No document, no audit entry and no row has it; a rotation of the vault's key keeps it."""
    from provost.server.api import channels as api
    from provost.server.models.secrets import ChannelSecret
    from provost.server.services import held
    from provost.server.services.rotation import rotate_keys

    made = add()
    assert made.secret.startswith("whsec_")
    assert made.secret not in repr(made)
    shown = api.show_channel(BY, "pager").model_dump_json() + str(api.list_channels(BY)) + dump()
    row = ChannelSecret.objects.get()
    assert made.secret not in shown
    assert made.secret[6:].encode() not in bytes(row.ciphertext)
    before = row.key_id
    rotate_keys(by=BY)
    row.refresh_from_db()
    assert row.key_id != before
    assert held.read_for_channel(channel_id=row.channel_id).text == made.secret
    mail = add("mail", "ops@example.org", ChannelKind.EMAIL)
    assert mail.secret is None


def test_the_trail_has_no_path_of_an_address():
    """A path may let its holder in somewhere; that it changed is written down."""
    from provost.server.api.channels import edit_channel
    from provost.server.models import AuditEntry

    add(address="https://hooks.example.org/hush-one")
    edit_channel(BY, "pager", said.ChannelPatch(address="https://hooks.example.org/hush-two"))
    entry = AuditEntry.objects.latest("number")
    assert entry.details == {"address": ["https://hooks.example.org/...", "https://hooks.example.org/..."]}
    assert "hush" not in dump()
    count = AuditEntry.objects.count()
    edit_channel(BY, "pager", said.ChannelPatch(address="https://hooks.example.org/hush-two"))
    assert AuditEntry.objects.count() == count


def test_changes_take_the_version_that_was_seen():
    """Who saw an older version changes nothing, and removes nothing."""
    from provost.server.api.channels import edit_channel, remove_channel

    add()
    edited = edit_channel(BY, "pager", said.ChannelPatch(comment="for the night shift"), 1)
    assert edited.version == 2
    with pytest.raises(Conflict):
        edit_channel(BY, "pager", said.ChannelPatch(comment="mine"), 1)
    with pytest.raises(Conflict):
        remove_channel(BY, "pager", 1)
    remove_channel(BY, "pager", 2)


def test_a_channel_goes_with_its_node():
    """It would be told of everything otherwise."""
    from provost.server.api.channels import list_channels
    from provost.server.services import nodes

    nodes.ensure_nodes(by=BY, paths=["/gone"])
    add(node="/gone")
    nodes.remove_node(by=BY, path="/gone")
    assert list_channels(BY) == []


def test_a_damaged_signing_secret_is_told(receiver):
    """Nothing goes out unsigned: the delivery says why, and waits."""
    from provost.server.models.secrets import ChannelSecret

    add(address=receiver.url)
    try_channel()
    ChannelSecret.objects.update(ciphertext=b"damaged")
    carry()
    (delivery,) = list_deliveries()
    assert delivery.state == "queued"
    assert delivery.error.startswith("It cannot be signed: ")
    assert receiver.got == []


def test_tls_is_verified(tmp_path, monkeypatch):
    """A certificate that nobody trusts is refused before anything is sent; one for the name is taken."""
    certificate, key = make_certificate(tmp_path, "receiver")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    with receive() as receiver:
        receiver.server.socket = context.wrap_socket(receiver.server.socket, server_side=True)
        receiver.server.handle_error = lambda *_: None
        add(address=f"https://127.0.0.1:{receiver.server.server_port}/")
        add("by-name", address=f"https://localhost:{receiver.server.server_port}/")
        try_channel()
        carry()
        (delivery,) = list_deliveries()
        assert "cannot be trusted" in delivery.error
        assert receiver.got == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        try_channel("by-name")
        make_due()
        carry()
        assert list_deliveries()[0].state == "delivered"
        assert "cannot be trusted" in list_deliveries("by-name")[0].error
        assert len(receiver.got) == 1


def test_what_is_old_is_deleted():
    """What was told goes when runs do; what still waits stays."""
    from django.utils import timezone

    from provost.server.models import Delivery
    from provost.server.services import retention

    add()
    done, waiting = try_channel(), try_channel()
    Delivery.objects.update(created=timezone.now() - timedelta(days=401))
    Delivery.objects.filter(id=done.id).update(state="delivered")
    retention.delete_old(now=timezone.now(), days=400)
    assert [one.id for one in list_deliveries()] == [waiting.id]


def test_the_queries_do_not_grow():
    """The list of channels, a log, a claim, and telling of a run take as many for one as for many."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext
    from django.utils import timezone

    from provost.server.api.channels import list_channels
    from provost.server.services.deliveries import claim_due

    def count(function, *given, **named: Any) -> int:
        with CaptureQueriesContext(connection) as queries:
            function(*given, **named)
        return len(queries)

    add_assets("web1", "web2", node="/prod")
    figures = []
    for rest in ((0,), range(1, 12)):
        for number in rest:
            add(f"mail{number}", "ops@example.org", ChannelKind.EMAIL)
            try_channel(f"mail{number}")
        figures.append(
            (
                count(list_channels, BY),
                count(list_deliveries, "mail0"),
                count(claim_due, now=timezone.now(), limit=50),
                count(tell_out_of_sync, "web1", "web2"),
            )
        )
    assert figures[0] == figures[1]
    assert figures[1][:2] == (2, 2)
    assert count(claim_due, now=timezone.now() - timedelta(days=1), limit=50) == 1


def test_the_log_holds_no_address(receiver, caplog):
    """A line for a delivery that failed says why; no line has the path of a receiver."""
    add(address=receiver.url)
    try_channel()
    receiver.answers.append(500)
    with caplog.at_level(logging.INFO, logger="provost"):
        carry()
    assert "The receiver answered 500." in caplog.text
    assert "hush" not in "".join(
        line.getMessage() for line in caplog.records if line.name.startswith("provost")
    )

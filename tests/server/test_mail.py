"""Mail, through a real mail server: what comes of it, by TLS, with a password, and when the server says no."""

import ssl
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from pathlib import Path
from typing import Any, cast

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import SMTP, AuthResult
from tests.server.test_channels import add, carry, find_assets, list_deliveries, make_due, try_channel
from tests.server.test_runs import add_assets
from tests.server.test_serve import make_certificate

from provost.core import notices as told
from provost.core.letters import write_letter
from provost.core.notices import ChannelKind, Event

pytestmark = [pytest.mark.usefixtures("database"), pytest.mark.once]

HOSTILE = "<b>x</b>\r\nBcc: all@example.org"


@dataclass
class Mailbox:
    """A mail server on the loopback address: what it took, and what it answers instead."""

    port: int = 0
    answers: list[str] = field(default_factory=list)
    got: list[Any] = field(default_factory=list)
    logins: list[tuple[bytes, bytes]] = field(default_factory=list)

    async def handle_RCPT(self, server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:  # noqa: N802  # its name in aiosmtpd
        del server, session, options
        if self.answers:
            return self.answers.pop(0)
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802  # as above
        del server, session
        self.got.append(envelope)
        return "250 OK"

    def read(self, index: int) -> EmailMessage:
        return cast("EmailMessage", message_from_bytes(self.got[index].content, policy=default))


class _Server(Controller):
    """The loop of its thread is closed, too: warnings are errors."""

    def __init__(self, mailbox: Mailbox, **options: Any) -> None:
        self._options = options
        super().__init__(mailbox, hostname="127.0.0.1", port=0)

    def factory(self) -> SMTP:
        return SMTP(self.handler, **self._options)

    def _trigger_server(self) -> None:
        self.port = self.server.sockets[0].getsockname()[1]
        super()._trigger_server()


@pytest.fixture
def mailbox(settings: Any) -> Iterator[Mailbox]:
    """A mail server without TLS, which the settings name."""
    mailbox = Mailbox()
    server = _Server(mailbox)
    server.start()
    settings.SMTP_URL = f"smtp://127.0.0.1:{server.port}"
    settings.MAIL_FROM = "provost@example.org"
    settings.SMTP_PASSWORD_FILE = None
    settings.PUBLIC_URL = "https://provost.example.org"
    yield mailbox
    server.stop()


def test_what_happened_comes_by_mail(mailbox: Mailbox) -> None:
    """The subject says what, where and how many; text and HTML say the rest, with a link to the console."""
    from provost.server.services.notices import tell

    add("ops", "ops@example.org", ChannelKind.EMAIL)
    add_assets("web1", "web2", "web3")
    accounts = tuple(
        told.OutOfSyncAccount(asset=name, username="alice", secret_type="password", reason="secret_rejected")
        for name in ("web1", "web2", "web3")
    )
    tell(
        event=Event.OUT_OF_SYNC,
        payload=told.OutOfSync(accounts=accounts),
        asset_ids=find_assets("web1", "web2", "web3"),
    )
    carry()
    (delivery,) = list_deliveries("ops")
    assert (delivery.state, delivery.error) == ("delivered", "")
    message = mailbox.read(0)
    assert message["Subject"] == "Provost: 3 accounts out of sync on web1, web2 and others"
    assert (message["From"], message["To"]) == ("provost@example.org", "ops@example.org")
    assert message["Message-ID"] == f"<{delivery.id}@example.org>"
    text = message.get_body(("plain",)).get_content()
    html = message.get_body(("html",)).get_content()
    assert "web3  alice  password  secret_rejected" in text
    assert "<td>web3</td><td>alice</td>" in html
    assert "https://provost.example.org/accounts" in text
    assert mailbox.got[0].rcpt_tos == ["ops@example.org"]


def test_names_from_outside_do_nothing_in_a_message() -> None:
    """Neither a header, nor a line, nor HTML comes of a name; each event makes a letter."""
    account = {"asset": HOSTILE, "username": HOSTILE}
    run = {
        **dict.fromkeys(("task", "requested_by"), HOSTILE),
        "run": "1",
        "action": "push",
        "state": "finished",
        "reason": "",
        "counts": {"failed": 2, "succeeded": 3},
        "problems": [{"status": "failed", "reason": "unreachable", "count": 2, "assets": [HOSTILE, "b"]}],
    }
    for event in Event:
        payload: dict[str, Any] = {"accounts": [account], "more": 0}
        if event is Event.RUN_FAILED:
            payload = run
        elif event is Event.TEST:
            payload = {"requested_by": HOSTILE}
        letter = write_letter(event, payload, console="https://provost.example.org")
        assert letter.subject.isprintable()
        assert len(letter.subject) <= 210
        assert "<b>" not in letter.html
        assert "\r" not in letter.text
        assert not any(line.startswith("Bcc") for line in letter.text.splitlines())
    assert write_letter(Event.RUN_FAILED, run | {"task": "nightly"}, console="").subject.startswith(
        "Provost: push nightly: 2 of 5 accounts did not end well on <b>"
    )


def test_an_address_that_is_refused_is_given_up(mailbox: Mailbox) -> None:
    """A lasting refusal ends it at once; a passing one is tried again."""
    add("ops", "ops@example.org", ChannelKind.EMAIL)
    try_channel("ops")
    mailbox.answers += ["451 later", "550 nobody here"]
    carry()
    (delivery,) = list_deliveries("ops")
    assert (delivery.state, delivery.attempts) == ("queued", 1)
    make_due()
    carry()
    (delivery,) = list_deliveries("ops")
    assert (delivery.state, delivery.attempts) == ("failed", 2)
    assert delivery.error == "The mail server takes no mail for this address (it answered 550)."


def test_without_a_mail_server_it_waits(settings: Any) -> None:
    """The delivery says which setting is missing, or that nobody answers."""
    add("ops", "ops@example.org", ChannelKind.EMAIL)
    try_channel("ops")
    carry()
    assert "PROVOST_SMTP_URL" in list_deliveries("ops")[0].error
    settings.SMTP_URL, settings.MAIL_FROM = "smtp://127.0.0.1:1", "provost@example.org"
    make_due()
    carry()
    (delivery,) = list_deliveries("ops")
    assert (delivery.state, delivery.error) == (
        "queued",
        "The mail server cannot be reached: Connection refused.",
    )


@pytest.mark.parametrize("implicit", [False, True])
def test_a_password_goes_by_tls_alone(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, implicit: bool
) -> None:
    """A server that nobody trusts hears no password; one that is trusted gets the one in the file."""
    certificate, key = make_certificate(tmp_path, "mail")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    mailbox = Mailbox()

    def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, data: Any) -> AuthResult:
        del server, session, envelope, mechanism
        mailbox.logins.append((data.login, data.password))
        return AuthResult(success=True)

    options: dict[str, Any] = {"authenticator": authenticate}
    if implicit:
        server = _Server(mailbox, **options, auth_require_tls=False)
        server.ssl_context = context
    else:
        server = _Server(mailbox, **options, tls_context=context, require_starttls=True, auth_required=True)
    server.start()
    try:
        (tmp_path / "password").write_text("hush-mail\n")
        where = f"me%40example.org@127.0.0.1:{server.port}"
        settings.SMTP_URL = f"smtps://{where}" if implicit else f"smtp://{where}?starttls"
        settings.SMTP_PASSWORD_FILE = tmp_path / "password"
        settings.MAIL_FROM = "provost@example.org"
        add("ops", "ops@example.org", ChannelKind.EMAIL)
        try_channel("ops")
        carry()
        assert "cannot be trusted" in list_deliveries("ops")[0].error
        assert mailbox.logins == []
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        make_due()
        carry()
        assert list_deliveries("ops")[0].state == "delivered"
        assert mailbox.logins == [(b"me@example.org", b"hush-mail")]
        assert len(mailbox.got) == 1
    finally:
        server.stop()

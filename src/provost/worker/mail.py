"""Sends a delivery by e-mail, once, through the server of PROVOST_SMTP_URL."""

import smtplib
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import Final
from urllib.parse import unquote, urlsplit

from django.conf import settings

from provost.core.letters import write_letter
from provost.server.services.deliveries import Fate, Parcel, Receipt

_PATIENCE: Final = 10.0
"""Seconds that the server may take for each of its answers."""

_LIMIT: Final = 45.0
"""Seconds for all of it: another courier takes over later than that."""

_PERMANENT: Final = 500


def send(parcel: Parcel) -> Receipt:
    """Try once, and return how it ended."""
    if not (settings.SMTP_URL and settings.MAIL_FROM):
        return Receipt(Fate.LATER, error="No mail is sent: PROVOST_SMTP_URL or PROVOST_MAIL_FROM is not set.")
    try:
        password = _read_password()
        with _connect() as server:
            if user := urlsplit(settings.SMTP_URL).username:
                server.login(unquote(user), password)
            server.send_message(_write(parcel))
    except smtplib.SMTPRecipientsRefused as error:
        codes = [code for code, _ in error.recipients.values()]
        fate = Fate.NEVER if all(code >= _PERMANENT for code in codes) else Fate.LATER
        return Receipt(fate, error=f"The mail server takes no mail for this address (it answered {codes[0]}).")
    except (OSError, UnicodeError) as error:  # what smtplib raises is of these
        return Receipt(Fate.LATER, error=_explain(error))
    return Receipt(Fate.DELIVERED)


def _explain(error: Exception) -> str:
    """Say what went wrong, without the server's own words: they may tell what was sent to it."""
    match error:
        case smtplib.SMTPResponseException():
            return f"The mail server refused ({type(error).__name__}, {error.smtp_code})."
        case smtplib.SMTPException():
            return f"The mail server did not do as it should ({type(error).__name__})."
        case ssl.SSLError():
            return (
                f"The mail server cannot be trusted: {getattr(error, 'verify_message', None) or 'TLS failed'}."
            )
        case OSError(filename=str()):
            return "PROVOST_SMTP_PASSWORD_FILE cannot be read."
    return f"The mail server cannot be reached: {getattr(error, 'strerror', None) or type(error).__name__}."


def _read_password() -> str:
    if settings.SMTP_PASSWORD_FILE:
        text: str = settings.SMTP_PASSWORD_FILE.read_text(encoding="utf-8")
        return text.strip()
    return unquote(urlsplit(settings.SMTP_URL).password or "")


@contextmanager
def _connect() -> Iterator[smtplib.SMTP]:
    """Give a connection, by TLS as the URL asks for, which is cut when all of it takes too long."""
    parts = urlsplit(settings.SMTP_URL)
    host, port = str(parts.hostname), parts.port or 0
    context = ssl.create_default_context()
    server: smtplib.SMTP
    if parts.scheme == "smtps":
        server = smtplib.SMTP_SSL(host, port, timeout=_PATIENCE, context=context)
    else:
        server = smtplib.SMTP(host, port, timeout=_PATIENCE)
    watch = threading.Timer(_LIMIT, _cut, [server])
    watch.start()
    try:
        if parts.query == "starttls":
            server.starttls(context=context)
        yield server
        with suppress(smtplib.SMTPException, OSError):  # the mail was taken already
            server.quit()
    finally:
        watch.cancel()
        server.close()


def _cut(server: smtplib.SMTP) -> None:
    if server.sock is not None:
        with suppress(OSError):  # closed meanwhile
            server.sock.shutdown(socket.SHUT_RDWR)


def _write(parcel: Parcel) -> EmailMessage:
    """Return the message. Its id is that of the delivery: should it come twice, a mail program can tell."""
    letter = write_letter(parcel.event, parcel.payload, console=settings.PUBLIC_URL or "")
    message = EmailMessage(policy=SMTP)
    sender = str(settings.MAIL_FROM)
    message["From"] = sender
    message["To"] = parcel.address
    message["Subject"] = letter.subject
    message["Date"] = format_datetime(parcel.created)
    message["Message-ID"] = f"<{parcel.id}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(letter.text)
    message.add_alternative(letter.html, subtype="html")
    return message

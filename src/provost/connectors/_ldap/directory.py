"""The blocking connection to a directory."""

import contextlib
import socket
import ssl
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

import ldap3
from ldap3.core.exceptions import LDAPException
from ldap3.operation.bind import bind_operation
from pyasn1.error import PyAsn1Error

from provost.connectors._ldap.answers import Answer, Code, Entry
from provost.connectors._ldap.options import DirectoryOptions
from provost.connectors._network import explain_failure
from provost.connectors._tls import refuse_certificate
from provost.core.connector import Timeouts
from provost.core.errors import ChangeRefused, LoginRefused, LookupFailed, TargetError, Unreachable
from provost.core.job import Target
from provost.core.secrets import Password

PAGE: Final = 500
"""Entries that are asked for at once."""

_START_TLS: Final = "1.3.6.1.4.1.1466.20037"
_PAGED: Final = "1.2.840.113556.1.4.319"

Control = tuple[str, bool, bytes | None]
Changes = dict[str, list[tuple[str, list[bytes]]]]
"""By attribute: what to do (`ADD`, `DELETE`, `REPLACE`) with which values."""

ADD: Final = ldap3.MODIFY_ADD
DELETE: Final = ldap3.MODIFY_DELETE
REPLACE: Final = ldap3.MODIFY_REPLACE


class Directory:
    """One connection to a directory. It blocks, and is for one thread at a time; `cut` is for any."""

    def __init__(self, target: Target, options: DirectoryOptions) -> None:
        self.asset = target.asset
        self._target = target
        self._options = options
        self._socket: socket.socket | None = None
        self._is_cut = False
        self._connection = ldap3.Connection(
            ldap3.Server("directory", get_info=ldap3.NONE),
            auto_referrals=False,
            check_names=False,
            auto_escape=False,
            auto_encode=False,
            return_empty_attributes=False,
        )

    def connect(self, place: tuple[str, int], timeouts: Timeouts) -> None:
        """Connect to `place`, and make the connection safe as the options say.

        Raises:
            Unreachable: no connection.
            HostKeyRefused: the server's certificate is not believed.
            TargetError: the server does no TLS.
        """
        try:
            connected = socket.create_connection(place, timeout=timeouts.connect)
        except OSError as error:
            raise explain_failure(error, self._target) from error
        self._take(connected)
        context = self._options.make_context(self._target)
        if context is not None:
            if self._options.starttls:
                self._ask_for_tls()
            connected = self._secure(connected, context)
        connected.settimeout(timeouts.command)

    def _take(self, connected: socket.socket) -> None:
        self._socket = self._connection.socket = connected
        self._connection.closed = False
        self._connection.strategy._outstanding = {}  # noqa: SLF001  # what its own open() does
        self._connection.strategy._start_listen()  # noqa: SLF001
        if self._is_cut:
            self.cut()

    def _ask_for_tls(self) -> None:
        answer = self._ask(self._connection.extended, _START_TLS)
        if answer.code != Code.SUCCESS:
            raise TargetError(
                f"{self.asset} does no StartTLS: {answer.text}. Switch TLS on there.",
                code="tls_unavailable",
            )

    def _secure(self, plain: socket.socket, context: ssl.SSLContext) -> ssl.SSLSocket:
        """Begin TLS; ldap3's own would take a certificate that holds the address where it should a name."""
        try:
            secured = context.wrap_socket(plain)
        except ssl.SSLCertVerificationError as error:
            raise refuse_certificate(self._target, error.verify_message) from error
        except (ssl.SSLEOFError, ConnectionError) as error:
            if self._target.via is not None or self._is_cut:
                raise explain_failure(error, self._target) from error
            raise Unreachable(
                f"{self.asset} ended the connection when TLS was begun. If it does no TLS there, switch it on, "
                "or use the port that has it.",
                code="tls_unavailable",
            ) from error
        except ssl.SSLError as error:
            raise TargetError(
                f"{self.asset} does no TLS on port {self._target.port}, or none that Provost takes: "
                f"{error.reason}.",
                code="tls_unavailable",
            ) from error
        except OSError as error:
            raise explain_failure(error, self._target) from error
        self._socket = self._connection.socket = secured
        return secured

    def bind(self, name: str, password: Password, *controls: Control) -> Answer:
        """Log in. An empty password is never sent: servers take that for nobody's login, and accept it."""
        if not name or not password.text:
            raise LoginRefused("An empty name or password is no login.", code="login_method_unavailable")
        request = bind_operation(3, ldap3.SIMPLE, name, password.text.encode())
        return self._ask(self._send_bind, request, controls)

    def _send_bind(self, request: Any, controls: Sequence[Control]) -> None:
        connection = self._connection
        number = connection.send("bindRequest", request, list(controls) or None)
        connection.post_send_single_response(number)

    def search(
        self,
        base: str,
        test: str,
        attributes: Sequence[str],
        *,
        alone: bool = False,
        controls: Sequence[Control] = (),
    ) -> list[Entry]:
        """Return every entry below `base` that `test` fits; `alone`: that one entry, if it is there.

        Raises:
            LookupFailed: the server gave no answer, or not the whole of it.
        """
        found: list[Entry] = []
        cookie = None
        while True:
            answer = self._ask(
                self._connection.search,
                base,
                test,
                ldap3.BASE if alone else ldap3.SUBTREE,
                ldap3.DEREF_NEVER,
                attributes=list(attributes),
                paged_size=None if alone else PAGE,
                paged_cookie=cookie,
                controls=list(controls) or None,
            )
            if alone and answer.code == Code.NO_SUCH_OBJECT:
                return []
            if answer.code != Code.SUCCESS:
                raise LookupFailed(f"{self.asset} could not look below {base}: {answer.text}.")
            for one in self._connection.response or ():
                if one["type"] != "searchResEntry":
                    raise LookupFailed(f"A part of what is below {base} is on another server than this one.")
                values = {name.lower(): values for name, values in one["raw_attributes"].items()}
                found.append(Entry(one["dn"], values))
            cookie = answer.controls.get(_PAGED, {}).get("value", {}).get("cookie")
            if not cookie:
                return found

    def read(self, dn: str, attributes: Sequence[str]) -> Entry | None:
        """Return one entry; None: it is not there, or may not be seen. Raises as `search` does."""
        return next(iter(self.search(dn, "(objectClass=*)", attributes, alone=True)), None)

    def add(self, dn: str, values: Mapping[str, Sequence[bytes]], *controls: Control) -> Answer:
        """Add an entry."""
        return self._ask(
            self._connection.add,
            dn,
            attributes={name: list(many) for name, many in values.items()},
            controls=list(controls) or None,
        )

    def modify(self, dn: str, changes: Changes, *controls: Control) -> Answer:
        """Change an entry, as a whole or not at all."""
        if not changes:
            return Answer(Code.SUCCESS, "success", "")
        return self._ask(self._connection.modify, dn, changes, controls=list(controls) or None)

    def delete(self, dn: str) -> Answer:
        """Delete an entry."""
        return self._ask(self._connection.delete, dn)

    def set_password(self, dn: str, password: Password, *controls: Control) -> Answer:
        """Set a password by the Password Modify operation (RFC 3062): the server hashes it."""
        return self._ask(
            self._connection.extend.standard.modify_password,
            dn,
            new_password=password.text.encode(),
            controls=list(controls) or None,
        )

    def refuse(self, what: str, answer: Answer, code: str) -> ChangeRefused:
        """Return the error for a change that an answer refuses. `what` is what the server did not do."""
        return ChangeRefused(f"{self.asset} {what}: {answer.text}.", code=code)

    def _ask(self, act: Callable[..., object], *words: object, **more: object) -> Answer:
        try:
            act(*words, **more)
            result = self._connection.result
            return Answer(
                result["result"], result["description"], result["message"] or "", result.get("controls") or {}
            )
        except (LDAPException, PyAsn1Error, OSError, LookupError, TypeError, ValueError) as error:
            # A server that speaks no LDAP makes ldap3 stumble anywhere.
            raise Unreachable(
                f"The connection to {self.asset} broke: {type(error).__name__}.", code="connection_lost"
            ) from error

    def cut(self) -> None:
        """End the connection, whatever waits on it."""
        self._is_cut = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)

    def end(self) -> None:
        """Say goodbye, and close the connection."""
        if self._socket is None:
            return
        if not self._is_cut and not self._connection.closed:
            with contextlib.suppress(LDAPException, OSError):
                self._connection.unbind()
        with contextlib.suppress(OSError):
            self._socket.close()

"""LDAP for the kinds that are directories: one connection with a thread of its own, and what was answered.

The underscore keeps this module out of the list of kinds.
"""

import asyncio
import contextlib
import re
import socket
import ssl
import unicodedata
import warnings
from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, Self, TypeVar

from pydantic import BeforeValidator, Field, model_validator

from provost.connectors._network import explain_failure
from provost.connectors._ssh import Routes
from provost.connectors._tls import Tls, TlsOptions, refuse_certificate
from provost.core.connector import (
    Applied,
    Change,
    PlainSession,
    Removal,
    Timeouts,
    Verification,
    Witness,
    answer_each,
)
from provost.core.errors import (
    ChangeRefused,
    LoginRefused,
    LookupFailed,
    Refused,
    TargetError,
    Unreachable,
)
from provost.core.facts import Facts
from provost.core.job import Login, Target
from provost.core.model import Presence, Verdict
from provost.core.secrets import Password, Secret

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # ldap3 2.9 calls pyasn1 by names that are old
    try:
        import ldap3
        from ldap3.core.exceptions import LDAPException
        from ldap3.operation.bind import bind_operation
        from ldap3.utils.conv import escape_filter_chars
        from ldap3.utils.dn import escape_rdn, parse_dn
        from pyasn1.error import PyAsn1Error
    except ImportError as missing:
        raise ImportError("Directories need ldap3: pip install 'provost[ldap]'.") from missing

T = TypeVar("T")

PAGE: Final = 500
"""Entries that are asked for at once."""

CHUNK: Final = 50
"""Accounts that are looked up at once."""

_START_TLS: Final = "1.3.6.1.4.1.1466.20037"
_PAGED: Final = "1.2.840.113556.1.4.319"

Control = tuple[str, bool, bytes | None]
Changes = Mapping[str, Sequence[tuple[str, Sequence[bytes]]]]
"""By attribute: what to do (`ADD`, `DELETE`, `REPLACE`) with which values."""

ADD: Final = ldap3.MODIFY_ADD
DELETE: Final = ldap3.MODIFY_DELETE
REPLACE: Final = ldap3.MODIFY_REPLACE


class Code:
    """Results of RFC 4511 that are told apart here."""

    SUCCESS = 0
    PROTOCOL_ERROR = 2
    STRONGER_AUTH_REQUIRED = 8
    REFERRAL = 10
    UNAVAILABLE_CRITICAL_EXTENSION = 12
    CONFIDENTIALITY_REQUIRED = 13
    NO_SUCH_ATTRIBUTE = 16
    UNDEFINED_ATTRIBUTE_TYPE = 17
    CONSTRAINT_VIOLATION = 19
    ATTRIBUTE_OR_VALUE_EXISTS = 20
    NO_SUCH_OBJECT = 32
    INVALID_CREDENTIALS = 49
    INSUFFICIENT_ACCESS_RIGHTS = 50
    BUSY = 51
    UNAVAILABLE = 52
    UNWILLING_TO_PERFORM = 53
    OBJECT_CLASS_VIOLATION = 65
    ENTRY_ALREADY_EXISTS = 68


_WANTS_TLS = frozenset({Code.STRONGER_AUTH_REQUIRED, Code.CONFIDENTIALITY_REQUIRED})
_OVERLOADED = frozenset({Code.BUSY, Code.UNAVAILABLE})


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's answer to one request: its result, by number and name, what it said, and its controls."""

    code: int
    name: str
    message: str
    controls: Mapping[str, Any] = field(default_factory=dict, repr=False)

    @property
    def text(self) -> str:
        """What an operator should read of it."""
        return f"{self.message or self.name} ({self.code})"


@dataclass(frozen=True, slots=True)
class Entry:
    """An entry of the directory. `values` are by the attributes' names in lower case."""

    dn: str
    values: Mapping[str, Sequence[bytes]] = field(repr=False)

    def get_all(self, attribute: str) -> Sequence[bytes]:
        """Return an attribute's values as they are."""
        return self.values.get(attribute.lower(), ())

    def list_texts(self, attribute: str) -> list[str]:
        """Return an attribute's values as texts."""
        return [value.decode(errors="replace") for value in self.get_all(attribute)]

    def get(self, attribute: str) -> str | None:
        """Return an attribute's first value as a text; None: it has none that may be seen."""
        return next(iter(self.list_texts(attribute)), None)

    def get_number(self, attribute: str) -> int | None:
        """Return an attribute's first value as a number."""
        text = self.get(attribute)
        return int(text) if text is not None and re.fullmatch(r"-?[0-9]+", text) else None


def fold_dn(dn: str) -> tuple[tuple[str, str], ...]:
    """Return a name in a form in which names of the same entry are equal; empty: it is no name of an entry."""
    try:
        parts = parse_dn(dn, strip=True)
    except (LDAPException, IndexError):
        return ()
    return tuple((kind.lower(), _unescape(value).casefold()) for kind, value, _ in parts)


def get_own_name(dn: str) -> str:
    """Return what an entry is called by itself, without where it is."""
    try:
        return _unescape(parse_dn(dn, strip=True)[0][1])
    except (LDAPException, IndexError):
        return dn


def _unescape(value: str) -> str:
    raw = re.sub(
        rb"\\(?:([0-9A-Fa-f]{2})|(.))",
        lambda found: bytes.fromhex(found[1].decode()) if found[1] else found[2],
        value.encode(),
        flags=re.DOTALL,
    )
    return raw.decode(errors="replace")


def escape(value: str) -> str:
    """Return a value as it stands in the name of an entry."""
    return str(escape_rdn(value))


def join_dn(attribute: str, value: str, base: str) -> str:
    """Return the name of an entry right below `base`."""
    return f"{attribute}={escape(value)},{base}"


def is_dn(username: str, base: str) -> bool:
    """Tell whether a username is the name of an entry in the same tree as `base`."""
    folded = fold_dn(username)
    return len(folded) > 1 and folded[-1] == fold_dn(base)[-1]


def check_name(username: str, longest: int) -> None:
    """Raise `Refused` for what a directory would not keep apart from another name, or not keep at all."""
    if not 0 < len(username) <= longest:
        raise Refused(f"A username in a directory has 1 to {longest} characters.", code="username_refused")
    if any(unicodedata.category(c) in {"Cc", "Cf", "Cs", "Cn", "Co", "Zl", "Zp"} for c in username):
        raise Refused("A username in a directory may hold no control character.", code="username_refused")
    if " ".join(unicodedata.normalize("NFKC", username).split()) != username:
        raise Refused(
            f"A directory does not tell {username!r} from other spellings: no spaces around it, no two in a "
            "row, and each character in its plainest form (NFKC).",
            code="username_refused",
        )


def match(attribute: str, *values: str) -> str:
    """Return a filter for entries where an attribute has one of some values."""
    tests = "".join(f"({attribute}={escape_filter_chars(value)})" for value in values)
    return tests if len(values) == 1 else f"(|{tests})"


def check_dn(text: str) -> str:
    """Refuse what is no name of an entry, for pydantic."""
    if not fold_dn(text):
        raise ValueError("is not the name of an entry, such as ou=people,dc=example,dc=org")
    return text


def split_names(value: object) -> object:
    """Take names apart at commas, for pydantic."""
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


Names = BeforeValidator(split_names)


class DirectoryOptions(TlsOptions):
    """What an asset that is a directory may carry."""

    starttls: bool = Field(
        default=False, description="begin in clear and switch to TLS (StartTLS), as servers do on port 389"
    )

    @model_validator(mode="after")
    def _check_starttls(self) -> Self:
        if self.starttls and self.tls is Tls.OFF:
            raise ValueError("starttls asks for TLS, and tls=off for none")
        return self


class Directory:
    """One connection to a directory. It blocks, and is for one thread at a time; `cut` is for any."""

    def __init__(self, target: Target, options: DirectoryOptions) -> None:
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
            self._take(socket.create_connection(place, timeout=timeouts.connect))
        except OSError as error:
            raise explain_failure(error, self._target) from error
        context = self._options.make_context(self._target)
        if context is not None:
            if self._options.starttls:
                self._ask_for_tls()
            self._secure(context)
        if self._socket is not None:
            self._socket.settimeout(timeouts.command)

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
                f"{self._target.asset} does no StartTLS: {answer.text}. Switch TLS on there.",
                code="tls_unavailable",
            )

    def _secure(self, context: ssl.SSLContext) -> None:
        """Begin TLS; ldap3's own would take a certificate that holds the address where it should a name."""
        name = self._target.asset
        plain = self._socket
        if plain is None:
            raise Unreachable(f"The connection to {name} ended.", code="connection_lost")
        try:
            self._socket = self._connection.socket = context.wrap_socket(plain)
        except ssl.SSLCertVerificationError as error:
            raise refuse_certificate(self._target, error.verify_message) from error
        except (ssl.SSLEOFError, ConnectionError) as error:
            if self._target.via is not None or self._is_cut:
                raise explain_failure(error, self._target) from error
            raise Unreachable(
                f"{name} ended the connection when TLS was begun. If it does no TLS there, switch it on, or "
                "use the port that has it.",
                code="tls_unavailable",
            ) from error
        except ssl.SSLError as error:
            raise TargetError(
                f"{name} does no TLS on port {self._target.port}, or none that Provost takes: {error.reason}.",
                code="tls_unavailable",
            ) from error
        except OSError as error:
            raise explain_failure(error, self._target) from error

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
                raise LookupFailed(f"{self._target.asset} could not look below {base}: {answer.text}.")
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
        asked = {name: [(what, list(many)) for what, many in some] for name, some in changes.items()}
        return self._ask(self._connection.modify, dn, asked, controls=list(controls) or None)

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
                f"The connection to {self._target.asset} broke: {type(error).__name__}.", code="connection_lost"
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


class Line:
    """A directory with a thread of its own, for asyncio."""

    def __init__(self, target: Target, options: DirectoryOptions) -> None:
        self._target = target
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="ldap")
        self._running: set[Future[Any]] = set()
        self.directory = Directory(target, options)

    async def run(self, act: Callable[..., T], *words: object) -> T:
        """Have the thread do something."""
        try:
            future = self._thread.submit(act, *words)
        except RuntimeError:
            raise Unreachable(
                f"There is no connection to {self._target.asset} any more.", code="connection_lost"
            ) from None
        self._running.add(future)
        future.add_done_callback(self._running.discard)
        return await asyncio.wrap_future(future)

    async def log_in(
        self,
        name: str,
        password: Password,
        routes: Routes,
        timeouts: Timeouts,
        *controls: Control,
        witness: Witness | None = None,
    ) -> Answer:
        """Connect, and bind.

        Raises:
            TargetError: no connection, or none that is safe.
        """
        place = await routes.reach(self._target, timeouts, witness)
        try:
            async with asyncio.timeout(timeouts.connect):
                await self.run(self.directory.connect, place, timeouts)
                return await self.run(self.directory.bind, name, password, *controls)
        except TimeoutError as error:
            raise explain_failure(error, self._target) from error

    def close(self) -> None:
        """End the connection, at once if something waits on it."""
        if self._running:
            self.directory.cut()
        with contextlib.suppress(RuntimeError):
            self._thread.submit(self.directory.end)
        self._thread.shutdown(wait=False)


def explain_refusal(answer: Answer, target: Target, login: Login, bar: str) -> TargetError | None:
    """Return the error for a privileged account's login that was not accepted. `bar`: what the policy says."""
    name, asset = login.username, target.asset
    if answer.code == Code.SUCCESS:
        return None
    if bar:
        return LoginRefused(f"{asset} does not let {name} in: {bar}.", code="policy_forbids_login")
    if answer.code == Code.INVALID_CREDENTIALS:
        return LoginRefused(f"{asset} refused the login of {name}: {answer.text}.")
    if answer.code in _WANTS_TLS:
        return TargetError(
            f"{asset} takes no password in clear: {answer.text}. Set the asset's option tls.",
            code="tls_required",
        )
    if answer.code in _OVERLOADED:
        return Unreachable(f"{asset} lets nobody in just now: {answer.text}.")
    return LoginRefused(
        f"{asset} does not let {name} log in by a password: {answer.text}.", code="login_method_unavailable"
    )


def doubt(answer: Answer, target: Target, username: str) -> Verification:
    """Return what a login told that was neither accepted nor refused for its password."""
    if answer.code in _OVERLOADED:
        return Verification(
            Verdict.UNKNOWN, "unreachable", f"{target.asset} lets nobody in just now: {answer.text}."
        )
    return Verification(
        Verdict.UNKNOWN,
        "policy_forbids_login",
        f"{target.asset} does not let {username} log in so: {answer.text}.",
    )


class DirectorySession(PlainSession, ABC):
    """A privileged session on a directory: what both kinds do alike. Subclasses do the work in its thread."""

    def __init__(  # noqa: PLR0913  # what a session is made of
        self,
        *,
        target: Target,
        options: DirectoryOptions,
        actor: str,
        line: Line,
        routes: Routes,
        timeouts: Timeouts,
    ) -> None:
        self.actor = actor
        self._target = target
        self._tls = options
        self._line = line
        self._routes = routes
        self._timeouts = timeouts
        self._directory = line.directory

    async def observe(self, usernames: Sequence[str]) -> Mapping[str, Presence | TargetError]:
        """Look the accounts up, many at once."""
        seen: dict[str, Presence | TargetError] = {}
        for start in range(0, len(usernames), CHUNK):
            seen |= await self._line.run(self._observe, usernames[start : start + CHUNK])
        return seen

    async def discover(self) -> Sequence[Facts]:
        """Read all accounts, by pages."""
        return await self._line.run(self._discover)

    def apply(self, changes: Sequence[Change]) -> AsyncIterator[Applied]:
        """Make the changes one after the other, over the one connection."""
        return answer_each(changes, partial(self._do, self._apply))

    def disable(self, usernames: Sequence[str]) -> AsyncIterator[Applied]:
        """Let accounts in no more."""
        return answer_each(usernames, partial(self._do, self._disable))

    def enable(self, usernames: Sequence[str]) -> AsyncIterator[Applied]:
        """Let accounts in again."""
        return answer_each(usernames, partial(self._do, self._enable))

    def remove(self, removals: Sequence[Removal]) -> AsyncIterator[Applied]:
        """Remove accounts, and their memberships."""
        return answer_each(removals, partial(self._do, self._remove))

    async def _do(self, act: Callable[[T], str], order: T) -> str:
        """Do one thing. What is looked up for it is so before anything is changed."""
        try:
            return await self._line.run(act, order)
        except LookupFailed as error:
            raise ChangeRefused(error.message, code=error.code) from error

    async def verify(self, username: str, secret: Secret) -> Verification:
        """Bind afresh as the account."""
        try:
            if not isinstance(secret, Password):
                return await self._line.run(self._look_for, username, secret)
            return await self._bind_afresh(username, secret)
        except TargetError as error:
            return Verification(Verdict.UNKNOWN, error.code, error.message)

    async def _bind_afresh(self, username: str, password: Password) -> Verification:
        name = await self._line.run(self._name, username)
        line = Line(self._target, self._tls)
        try:
            answer = await line.log_in(name, password, self._routes, self._timeouts, *self.login_controls)
        finally:
            line.close()
        return await self._line.run(self._judge, username, answer)

    def _observe(self, usernames: Sequence[str]) -> dict[str, Presence | TargetError]:
        plain = [name for name in usernames if self._find_otherwise(name) is None]
        found: defaultdict[str, list[Entry]] = defaultdict(list)
        for entry in self._search(match(self.name_attribute, *plain)) if plain else ():
            for name in entry.list_texts(self.name_attribute):
                found[name].append(entry)
        unseen = [name for name in plain if name not in found]
        # Asked for without the others, they are not there under a spelling either that counts as the same.
        absent = unseen and not self._search(match(self.name_attribute, *unseen))
        seen: dict[str, Presence | TargetError] = {}
        for name in usernames:
            if absent and name in unseen:
                seen[name] = Presence.ABSENT
            elif name in plain and len(found.get(name, ())) == 1:
                seen[name] = self._tell_presence(found[name][0])
            else:
                try:
                    seen[name] = self._tell_presence(self._find(name))
                except LookupFailed as error:
                    seen[name] = error
        return seen

    def _tell_presence(self, entry: Entry | None) -> Presence:
        attribute, value = self.mark
        if entry is None:
            return Presence.ABSENT
        return Presence.INCOMPLETE if value in entry.get_all(attribute) else Presence.PRESENT

    def _find(self, username: str) -> Entry | None:
        asset, attribute = self._target.asset, self.name_attribute
        exact = self._find_otherwise(username)
        entries: list[Entry] = []
        if exact is None:
            entries = self._search(match(attribute, username))
            exact = [entry for entry in entries if username in entry.list_texts(attribute)]
        if len(exact) > 1:
            raise LookupFailed(
                f"{asset} has several accounts {username}: {'; '.join(entry.dn for entry in exact)}.",
                code="name_ambiguous",
            )
        if exact or not entries:
            return next(iter(exact), None)
        raise LookupFailed(
            f"{asset} knows {username} as {entries[0].get(attribute)}: to a directory that is one name. "
            "Use that spelling.",
            code="name_differs",
        )

    def _get(self, username: str) -> Entry:
        entry = self._find(username)
        if entry is None:
            raise ChangeRefused(f"{username} is not on {self._target.asset} any more.", code="account_absent")
        return entry

    login_controls: Sequence[Control] = ()
    """What a verifying login asks to be told besides."""
    name_attribute: str
    """What holds the usernames."""
    mark: tuple[str, bytes]
    """What an entry holds whose creation is not over."""

    async def close(self) -> None:
        """End the connection."""
        self._line.close()

    def _refuse_change(self, what: str, answer: Answer, code: str) -> ChangeRefused:
        return ChangeRefused(f"{self._target.asset} {what}: {answer.text}.", code=code)

    @abstractmethod
    def _search(self, test: str) -> list[Entry]:
        """Return the accounts that a filter fits, with what sessions read of them."""

    @abstractmethod
    def _find_otherwise(self, username: str) -> list[Entry] | None:
        """Return what a username that is more than one means; None: it is a plain one."""

    @abstractmethod
    def _discover(self) -> Sequence[Facts]: ...

    @abstractmethod
    def _apply(self, change: Change) -> str: ...

    @abstractmethod
    def _disable(self, username: str) -> str: ...

    @abstractmethod
    def _enable(self, username: str) -> str: ...

    @abstractmethod
    def _remove(self, removal: Removal) -> str: ...

    @abstractmethod
    def _name(self, username: str) -> str:
        """Return the name to bind with; of an account that is not there, the one that it would have."""

    @abstractmethod
    def _look_for(self, username: str, secret: Secret) -> Verification:
        """Tell what can be told of a secret that no bind can prove."""

    @abstractmethod
    def _judge(self, username: str, answer: Answer) -> Verification:
        """Tell what a login told of the password."""


@contextlib.contextmanager
def closed_on_failure(line: Line) -> Iterator[Line]:
    """Close a line, unless all goes well."""
    try:
        yield line
    except BaseException:
        line.close()
        raise

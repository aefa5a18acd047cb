"""A privileged session on one Redis server."""

from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from hashlib import sha256
from typing import Final

from redis.exceptions import RedisError

from provost.connectors.redis.parameters import PROTECTED, Persist, RedisOptions, RedisParameters
from provost.connectors.redis.wire import Answer, Wire, is_forbidden, read_code
from provost.core.connector import (
    Applied,
    Change,
    PlainSession,
    Removal,
    Timeouts,
    Verification,
    check_expendable,
    expect,
)
from provost.core.errors import ChangeRefused, ChangeUnknown, LoginRefused, LookupFailed, TargetError
from provost.core.facts import Facts
from provost.core.job import Target
from provost.core.model import Decision, Presence, Verdict
from provost.core.secrets import Password, Secret

_SETTING_USERS: Final = frozenset({"@all", "@admin", "@dangerous", "@slow", "acl", "acl|setuser"})
"""What holds ACL SETUSER, by `ACL CAT`."""

_POWERFUL: Final = frozenset(
    {
        "nopass", "+@all", "+@admin", "+@dangerous", "+acl", "+acl|setuser", "+config", "+config|set",
        "+module", "+module|load", "+module|loadex",
    }
)  # fmt: skip
"""Rules that lead to the rights of others: CONFIG SET says who is asked for a password."""

_AT_ONCE: Final = 500
"""So many accounts are sent to the server in one go, and saved together."""

_NOBODY: Final = "not a name"
"""Nobody has this name: none may hold a space."""

Command = Sequence[str]


@dataclass(frozen=True, slots=True)
class _User:
    """What ACL GETUSER tells of an account that is there."""

    flags: frozenset[str]
    hashes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Order:
    """What is to be done to an account: by its present state, the commands, or an error why not.

    `code` is that of a refusal of the first command.
    """

    username: str
    plan: Callable[[_User | None], Sequence[Command]]
    code: str


class RedisSession(PlainSession):
    """One connection, that of the privileged account."""

    def __init__(  # noqa: PLR0913, PLR0917  # what a session is made of
        self,
        target: Target,
        actor: str,
        options: RedisOptions,
        wire: Wire,
        place: tuple[str, int],
        timeouts: Timeouts,
    ) -> None:
        self.actor = actor
        self._target = target
        self._asset = target.asset
        self._options = options
        self._wire = wire
        self._place = place
        self._timeouts = timeouts
        self._save: Command = ("ACL", "SAVE")

    async def check_rights(self) -> None:
        """Make sure that the account may do what sessions do, by commands that change nothing.

        Raises:
            LoginRefused: it may not.
            TargetError: there are no ACL users on this server.
        """
        probes = {
            "+acl|getuser": ("ACL", "GETUSER", self.actor),
            "+acl|setuser": ("ACL", "SETUSER", _NOBODY),
            "+acl|deluser": ("ACL", "DELUSER", _NOBODY),
            "+client|kill": ("CLIENT", "KILL", "USER", _NOBODY),
        }
        answers = await self._wire.ask(*probes.values())
        if missing := [rule for rule, answer in zip(probes, answers, strict=True) if is_forbidden(answer)]:
            raise LoginRefused(
                f"{self.actor} was let in on {self._asset}, and lacks rights there: {' '.join(missing)}.",
                code="rights_missing",
            )
        if isinstance(answers[0], RedisError):
            raise TargetError(
                f"ACL users cannot be looked up on {self._asset}: the server answered {read_code(answers[0])}.",
                code="acl_unavailable",
            )

    async def observe(self, usernames: Sequence[str]) -> Mapping[str, Presence | TargetError]:
        """Ask for each user of the ACL."""
        found = await self._look_up(usernames)
        return {
            name: user
            if isinstance(user, TargetError)
            else (Presence.ABSENT if user is None else Presence.PRESENT)
            for name, user in found.items()
        }

    async def discover(self) -> Sequence[Facts]:
        """Read the whole ACL, and leave the hashes of its passwords behind."""
        [answer] = await self._wire.ask(("ACL", "LIST"))
        if not isinstance(answer, list):
            raise LookupFailed(
                f"The accounts of {self._asset} cannot be listed: the server answered {read_code(answer)} to "
                f"ACL LIST. Grant +acl|list to {self.actor}.",
                code="rights_missing" if is_forbidden(answer) else None,
            )
        return [_describe(line.decode(errors="backslashreplace")) for line in answer]

    def apply(self, changes: Sequence[Change]) -> AsyncIterator[Applied]:
        """Set users, each by one command, and save the ACL before any of them is acknowledged."""
        orders = [
            _Order(change.username, partial(self._plan_adoption, change), "password_refused")
            if change.decision is Decision.ADOPT
            else _Order(change.username, partial(self._plan_creation, change), "create_refused")
            for change in changes
        ]
        return self._carry_out(orders)

    def disable(self, usernames: Sequence[str]) -> AsyncIterator[Applied]:
        """Switch users off and end their connections."""
        orders = [_Order(name, partial(self._plan_disabling, name), "disable_refused") for name in usernames]
        return self._carry_out(orders)

    def enable(self, usernames: Sequence[str]) -> AsyncIterator[Applied]:
        """Switch users on."""
        orders = [_Order(name, partial(self._plan_enabling, name), "enable_refused") for name in usernames]
        return self._carry_out(orders)

    def remove(self, removals: Sequence[Removal]) -> AsyncIterator[Applied]:
        """Delete users, which ends their connections."""
        orders = [
            _Order(removal.username, partial(self._plan_removal, removal.username), "change_refused")
            for removal in removals
        ]
        return self._carry_out(orders)

    async def verify(self, username: str, secret: Secret) -> Verification:
        """Log in over a connection of its own. A disabled user is refused by the words of a wrong password."""
        password = expect(secret, Password)
        try:
            wire = await Wire.open(self._target, self._place, self._options, self._timeouts)
            try:
                await wire.log_in(username, password)
            finally:
                await wire.close()
        except TargetError as error:
            told = Verification.from_error(error)
            return await self._explain(username, told) if told.verdict is Verdict.REJECTED else told
        return Verification(Verdict.ACCEPTED)

    async def close(self) -> None:
        """End the connection."""
        await self._wire.close()

    async def _explain(self, username: str, told: Verification) -> Verification:
        """Return what a refused login told, or why it tells nothing."""
        try:
            user = (await self._look_up([username]))[username]
        except TargetError as error:
            user = error
        if isinstance(user, TargetError):
            return Verification(Verdict.UNKNOWN, user.code, user.message, refused=True)
        if user is not None and "off" in user.flags:
            return Verification(
                Verdict.UNKNOWN,
                "policy_forbids_login",
                f"{username} is disabled (off) on {self._asset}.",
                refused=True,
            )
        return told

    async def _look_up(self, usernames: Iterable[str]) -> dict[str, _User | TargetError | None]:
        names = list(dict.fromkeys(usernames))
        answers = await self._wire.ask(*(("ACL", "GETUSER", name) for name in names)) if names else []
        return {name: self._read_user(name, answer) for name, answer in zip(names, answers, strict=True)}

    def _read_user(self, username: str, answer: Answer) -> _User | TargetError | None:
        if answer is None:
            return None
        if not isinstance(answer, list):
            return LookupFailed(
                f"{self._asset} cannot tell whether {username} is there: it answered {read_code(answer)}."
            )
        told = dict(zip(answer[::2], answer[1::2], strict=True))
        return _User(
            flags=frozenset(flag.decode() for flag in told[b"flags"]),
            hashes=tuple(one.decode() for one in told[b"passwords"]),
        )

    async def _carry_out(self, orders: Sequence[_Order]) -> AsyncIterator[Applied]:
        """Save first, so that nothing is changed where nothing can be saved; then look, change, save again."""
        if not orders:
            return
        if (refusal := await self._persist()) is not None:
            for order in orders:
                yield Applied(order.username, refusal)
            return
        for start in range(0, len(orders), _AT_ONCE):
            for applied in await self._carry_out_together(orders[start : start + _AT_ONCE]):
                yield applied

    async def _carry_out_together(self, orders: Sequence[_Order]) -> list[Applied]:
        found = await self._look_up(order.username for order in orders)
        applied, planned = [], []
        for order in orders:
            try:
                planned.append((order, self._plan(order, found[order.username])))
            except ChangeRefused as error:
                applied.append(Applied(order.username, error))
        commands = [command for _, plan in planned for command in plan]
        answers = iter(await self._wire.ask(*commands) if commands else ())
        told = [
            (order, self._judge(order, [(command, next(answers)) for command in plan]))
            for order, plan in planned
        ]
        unsaved = await self._persist() if commands else None
        for order, wrong in told:
            if unsaved is not None and not isinstance(wrong, ChangeRefused):
                applied.append(Applied(order.username, self._tell_unsaved(order, unsaved)))
            else:
                applied.append(Applied(order.username, wrong, "" if wrong else self._tell_persistence()))
        return applied

    def _tell_unsaved(self, order: _Order, unsaved: TargetError) -> ChangeUnknown:
        return ChangeUnknown(
            f"{self._asset} made the change to {order.username}, and could not save it any more: it would be "
            f"lost at a restart. {unsaved.message}",
            code="not_saved",
        )

    def _tell_persistence(self) -> str:
        if self._options.persist is Persist.NEVER:
            return f"Not saved (persist=never): it is lost when {self._asset} restarts."
        return ""

    @staticmethod
    def _plan(order: _Order, user: _User | TargetError | None) -> Sequence[Command]:
        if isinstance(user, TargetError):
            raise ChangeRefused(user.message, code=user.code)
        return order.plan(user)

    def _judge(self, order: _Order, answers: Sequence[tuple[Command, Answer]]) -> TargetError | None:
        """Return what went wrong with an account, if something did."""
        for index, (command, answer) in enumerate(answers):
            if not isinstance(answer, RedisError) or str(answer).startswith("No such user"):
                continue
            words = f"{self._asset} refused {' '.join(command[:2])} for {order.username}: {answer}"
            if index:
                return ChangeUnknown(
                    f"{words}. It is off, and what it has open goes on.", code="disable_unsure"
                )
            return ChangeRefused(words, code="rights_missing" if is_forbidden(answer) else order.code)
        return None

    async def _persist(self) -> ChangeRefused | None:
        """Save the ACL; return why it could not be."""
        if self._options.persist is Persist.NEVER:
            return None
        [answer] = await self._wire.ask(self._save)
        if "not configured to use an ACL file" in str(answer):
            self._save = ("CONFIG", "REWRITE")
            [answer] = await self._wire.ask(self._save)
        if not isinstance(answer, RedisError):
            return None
        said = f"{self._asset} answered to {' '.join(self._save)}: {answer}."
        if is_forbidden(answer):
            return ChangeRefused(
                f"{said} Grant +{'|'.join(self._save).lower()} to {self.actor}.", code="rights_missing"
            )
        return ChangeRefused(
            f"{said} Accounts would be lost when it restarts. Give it an aclfile, or a configuration file that "
            "it may write; or set the asset's option persist=never.",
            code="not_persistent",
        )

    def _plan_creation(self, change: Change, user: _User | None) -> Sequence[Command]:
        mark, parameters = _hash(change.secret), expect(change.parameters, RedisParameters)
        if user is None:
            return [("ACL", "SETUSER", change.username, *parameters.rules, "on", f"#{mark}")]
        if user.hashes == (mark,):  # set by an attempt whose answer was lost
            return []
        raise ChangeRefused(
            f"Somebody else created {change.username} on {self._asset} meanwhile; it is as they made it.",
            code="appeared",
        )

    def _plan_adoption(self, change: Change, user: _User | None) -> Sequence[Command]:
        if user is None:
            raise ChangeRefused(f"{change.username} is not on {self._asset} any more.", code="account_absent")
        return [("ACL", "SETUSER", change.username, "resetpass", f"#{_hash(change.secret)}")]

    def _plan_disabling(self, username: str, user: _User | None) -> Sequence[Command]:
        self._check_expendable(username)
        if user is None:
            return []
        return [("ACL", "SETUSER", username, "off"), ("CLIENT", "KILL", "USER", username)]

    def _plan_enabling(self, username: str, user: _User | None) -> Sequence[Command]:
        if user is None:
            raise ChangeRefused(f"{username} is not on {self._asset}.", code="enable_refused")
        return [("ACL", "SETUSER", username, "on")]

    def _plan_removal(self, username: str, user: _User | None) -> Sequence[Command]:
        self._check_expendable(username)
        return [] if user is None else [("ACL", "DELUSER", username)]

    def _check_expendable(self, username: str) -> None:
        check_expendable(username, self._asset, acts=username == self.actor, needed=username in PROTECTED)


def _hash(secret: Secret) -> str:
    """Return what the server keeps of a password, so that it never sees the password but at a login."""
    return sha256(expect(secret, Password).text.encode()).hexdigest()


def _describe(line: str) -> Facts:
    """Read a line of ACL LIST, such as `user alice on #9f86d0... ~app:* resetchannels -@all +@read`."""
    _, username, *words = line.split(" ")
    on = "on" in words
    has_password = "nopass" in words or any(word.startswith("#") for word in words)
    rules = [word for word in words if not word.startswith("#") and word not in {"on", "off"}]
    powerful = tuple(word for word in rules if word.strip("()") in _POWERFUL)
    return Facts(
        username=username,
        system=username in PROTECTED,
        can_log_in=on and has_password,
        locked=not on or not has_password,
        superuser=on and _may_set_users(words),
        groups=tuple(word for word in rules if word not in powerful),
        privileges=powerful,
    )


def _may_set_users(words: Sequence[str]) -> bool:
    """Tell whether rules, or those of a selector among them, let ACL SETUSER run: it gives all the rest."""
    may = found = False
    for word in words:
        if word.startswith("("):  # a selector begins with no command at all
            found, may = found or may, False
        rule = word.strip("()")
        if rule[1:] in _SETTING_USERS and rule[:1] in {"+", "-"}:
            may = rule.startswith("+")
    return found or may

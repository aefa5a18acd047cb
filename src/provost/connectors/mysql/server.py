"""A server as a privileged account sees it: its accounts, and its answers in an operator's words."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from provost.connectors.mysql.dialects import Account, Dialect, Row
from provost.connectors.mysql.hosts import Client
from provost.connectors.mysql.wire import Answer, Wire
from provost.core.errors import ChangeRefused, ChangeUnknown, LookupFailed, TargetError

PROTECTED: Final = frozenset(
    {"root", "mysql", "mariadb.sys", "mysql.sys", "mysql.session", "mysql.infoschema", "debian-sys-maint"}
)

_AT_ONCE: Final = 500
"""Accounts that are looked up by one statement."""

CANNOT: Final = 1396
"""That something could not be done to an account: most often, because it is there, or is not."""
_OPTION: Final = 1290
_NO_RIGHT: Final = frozenset({1044, 1045, 1095, 1142, 1143, 1227, 1370, 1410, 1698, 1873})
_CERTAIN: Final = _NO_RIGHT | {
    1064, 1065, 1102, 1103, 1133, 1141, 1146, 1221, 1290, 1305, 1372, 1396, 1470, 1524, 1819, 1820, 1827, 1836,
    1959, 3523, 3530, 3619, 4006,
}  # fmt: skip
"""Errors that a server gives before it changes anything, by the manuals and as seen."""


@dataclass(frozen=True, slots=True)
class Server:
    """One connection to it. It took the login for `acting`, and sees Provost at `client`."""

    wire: Wire
    dialect: Dialect
    asset: str
    acting: Account
    client: Client
    rights: frozenset[str]

    async def look(self, statement: str, *values: object) -> list[tuple[Any, ...]]:
        """Return what a statement reads.

        Raises:
            LookupFailed: the server refused it.
            Unreachable: there was no answer.
        """
        try:
            return await self.wire.ask(statement, *values)
        except Answer as answer:
            raise LookupFailed(f"The accounts of {self.asset} cannot be read: {answer}.") from answer

    async def list_rows(self, condition: str, *values: object) -> list[Row]:
        """Return the accounts that meet a condition on User and Host."""
        statement = f"{self.dialect.rows}{condition}"
        found = await self.look(statement, self.dialect.unfinished, *values)
        return [self.dialect.read_row(one) for one in found]

    async def find_all(self, accounts: Sequence[Account]) -> dict[Account, Row]:
        """Return those of the accounts that are there."""
        rows: list[Row] = []
        for begin in range(0, len(accounts), _AT_ONCE):
            some = accounts[begin : begin + _AT_ONCE]
            condition = ", ".join(["(%s, %s)"] * len(some))
            rows += await self.list_rows(
                f"(User, Host) IN ({condition})", *(part for one in some for part in one)
            )
        return {row.account: row for row in rows}

    async def find(self, account: Account) -> Row | None:
        """Return an account, if it is there."""
        return (await self.find_all([account])).get(account)

    async def list_rivals(self, account: Account) -> list[str]:
        """Return the host patterns of other accounts that a client with this username may be taken for."""
        rows = await self.list_rows("User IN (%s, '') AND Host <> %s", *account)
        return sorted({row.account[1] for row in rows})

    async def tell(self, code: str, statement: str, *values: object) -> None:
        """Have a statement that changes one account carried out.

        Raises:
            ChangeRefused: the server refused it, by default with this code; nothing was changed by it.
            ChangeUnknown: its error does not tell.
            Unreachable: there was no answer.
        """
        try:
            await self.wire.ask(statement, *values)
        except Answer as answer:
            raise self.explain(await self._complete(answer), code) from answer

    async def _complete(self, answer: Answer) -> Answer:
        """Return what is behind the answer that something failed."""
        if answer.number != CANNOT:
            return answer
        with contextlib.suppress(LookupFailed):
            for _, number, text in await self.look("SHOW ERRORS"):
                if number != CANNOT:
                    return Answer(number, text)
        return answer

    def explain(self, answer: Answer, code: str) -> TargetError:
        """Return the error for an answer to a statement that changes one account."""
        if answer.number not in _CERTAIN:
            return ChangeUnknown(f"{self.asset} broke off: {answer}.")
        if answer.number == _OPTION and "strict-password-validation" in answer.text:
            return ChangeRefused(
                f"A plugin of {self.asset} is to see each password; Provost sends verifiers alone. Let it: SET "
                "GLOBAL strict_password_validation = OFF; the rules of the push then say what a password is.",
                code="password_refused",
            )
        if answer.number in _NO_RIGHT:
            return ChangeRefused(
                f"{self.acting[0]} may not do this on {self.asset}: {answer}.", code="rights_missing"
            )
        return ChangeRefused(f"{self.asset} refused: {answer}.", code=code)


def write_account(account: Account) -> str:
    """Return an account as the server writes it: for messages, and as its tables of rights name it."""
    return "'{}'@'{}'".format(*account)

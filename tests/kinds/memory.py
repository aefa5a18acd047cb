"""A bench of targets in memory."""

from provost.conformance import Bench
from provost.connectors.memory import Account, Host, MemoryConnector
from provost.core.job import Login, Target
from provost.core.secrets import Password, Secret


class MemoryBench(Bench):
    """One host in memory."""

    by_network = False
    has_rights = False
    hostile = ("a'b", 'a"b', "a;b", "$(id)", "a" * 300)

    def __init__(self) -> None:
        root = Password("root's own secret")
        self.host = Host({"root": Account(uid=0, password="another's secret"), "provost": Account(root.text)})
        self.target = Target(1, "host-1", "memory", "10.0.0.1", 1, (Login("provost", root),))

    def open_connector(self) -> MemoryConnector:
        return MemoryConnector({self.target.address: self.host})

    def make(self, username: str, secret: Secret) -> None:
        self.host.accounts[username] = account = Account()
        account.set_secret(secret)
        account.managed.clear()

    def has(self, username: str) -> bool:
        return username in self.host.accounts

    def log_in(self, username: str, secret: Secret) -> bool:
        account = self.host.accounts.get(username)
        return account is not None and account.accept(secret)

    def list_names(self) -> set[str]:
        return set(self.host.accounts)

    def grant(self, username: str) -> None:
        self.host.accounts[username].groups = ("ops",)

    def is_granted(self, username: str) -> bool:
        return self.host.accounts[username].groups == ("ops",)

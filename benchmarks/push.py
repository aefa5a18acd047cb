"""One new password account on each of 50 real hosts: Provost, a bare asyncssh floor, one Ansible `user` task.

All run against the same hosts in turn, round after round; figures are medians, ratios are taken by round.
Provost also pushes through a server that runs: what is counted is the server's CPU time and the wall time from
asking for the run to its end, so without a start-up.
Provost and the floor prove each account by a login.  Ansible does not, so Provost without that proof stands
beside it; Ansible runs once as a playbook is by default, with facts gathered, and once in its leanest form.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil

from provost.lab import Host, Lab

HOSTS = 50
ROUNDS = 3
BIN = Path(sys.executable).parent
HERE = Path(__file__).parent
HASH = "$6$provost$e6Er6kNF1t7S.VxFtkAnXGvYSRLaqgCkkF9vHzKZL/mS8nXHVnjVDpZcMTx4Q8Dn9RzqAuPGbqIV29Ff/9hYN0"


@dataclass(frozen=True)
class Figures:
    """Seconds of wall time and of the controller's CPU time, and its peak memory in MiB."""

    wall: float
    cpu: float
    memory: float


def measure(command: Sequence[str], environment: dict[str, str]) -> Figures:
    """Run a command, with all its children, in a process of its own."""
    with tempfile.TemporaryFile("w+") as output:
        began = time.monotonic()
        process = subprocess.Popen(command, env={**os.environ, **environment}, stdout=output, stderr=output)
        _, status, usage = os.wait4(process.pid, 0)
        wall = time.monotonic() - began
        if status:
            output.seek(0)
            raise SystemExit(f"{' '.join(map(str, command))} failed:\n{output.read()[-3000:]}")
    return Figures(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


class Server:
    """A `provost serve` that runs on a data folder, and a client of its first administrator."""

    def __init__(self, environment: dict[str, str], log: Path) -> None:
        with log.open("w") as file:
            self.process = subprocess.Popen(
                [BIN / "provost", "serve", "--port", "0"],
                env={**os.environ, **environment},
                stdout=subprocess.PIPE,
                stderr=file,
                text=True,
            )
        setup_token, url = (self.process.stdout.readline().split()[-1] for _ in range(2))  # type: ignore[union-attr]  # it is a pipe
        body = {"setup_token": setup_token, "username": "ada"}
        token = httpx.post(f"{url}/api/v1/setup", json=body).raise_for_status().json()["token"]
        headers = {"Authorization": f"Bearer {token}"}
        self.client = httpx.Client(base_url=f"{url}/api/v1/", headers=headers, timeout=600)

    def measure_cpu(self) -> float:
        """Return the seconds of CPU time that the process has used."""
        times = psutil.Process(self.process.pid).cpu_times()
        return times.user + times.system

    def measure_memory(self) -> float:
        """Return its memory now, in MiB."""
        return psutil.Process(self.process.pid).memory_info().rss / 2**20

    def stop(self) -> None:
        """Stop it in good order."""
        self.process.terminate()
        self.process.wait(90)


class Rivals:
    """The ways to push one account to some hosts."""

    def __init__(self, folder: Path, hosts: Sequence[Host], key: Path) -> None:
        self._folder = folder
        self._hosts = hosts
        self._environment = {"PROVOST_HOME": str(folder / "home")}
        for count in (1, len(hosts)):
            self._write_hosts(count, key)
        self._bring_in(key)
        self._server = Server(self._environment, folder / "server.log")

    def stop(self) -> None:
        """End what was started."""
        self._server.stop()

    def _write_hosts(self, count: int, key: Path) -> None:
        facts = [
            {"name": host.name, "address": host.address, "port": host.port, "key": str(key)}
            for host in self._hosts[:count]
        ]
        (self._folder / f"{count}.json").write_text(json.dumps(facts))
        inventory = "\n".join(
            f"{host.name} ansible_host={host.address} ansible_port={host.port} ansible_user=root "
            f"ansible_ssh_private_key_file={key}"
            for host in self._hosts[:count]
        )
        (self._folder / f"{count}.ini").write_text(f"[all]\n{inventory}\n")

    def _bring_in(self, key: Path) -> None:
        assets = [
            {"name": host.name, "kind": "linux", "address": host.address, "nodes": ["/all"]}
            for host in self._hosts
        ]
        assets[0]["nodes"] = ["/all", "/one"]
        accounts = [
            {"username": "root", "asset": host.name, "privileged": True, "key_file": str(key)}
            for host in self._hosts
        ]
        file = self._folder / "import.yaml"
        file.write_text(json.dumps({"assets": assets, "accounts": accounts}))
        for words in (["init"], ["import", str(file)]):
            measure([BIN / "provost", *words], self._environment)

    def push_with_provost(self, count: int, *usernames: str, options: Sequence[str] = ()) -> Figures:
        """Run `provost push` as an operator would."""
        accounts = [word for name in usernames for word in ("--account", name)]
        node = "/one" if count == 1 else "/all"
        command = [BIN / "provost", "push", *accounts, "--node", node, "--secret-type", "password", "--json"]
        return measure([*command, *options], self._environment)

    def push_unproven(self, count: int, username: str) -> Figures:
        """Run `provost push --no-verify`: no login proves the accounts, as with Ansible."""
        return self.push_with_provost(count, username, options=("--no-verify",))

    def push_with_server(self, count: int, username: str) -> Figures:
        """Ask a server that runs for the push, and follow it to its end as a program would."""
        spec = {
            "nodes": ["/one" if count == 1 else "/all"],
            "usernames": [username],
            "secret_type": "password",
        }
        began, used = time.monotonic(), self._server.measure_cpu()
        run = self._server.client.post("runs", json={"spec": spec}).raise_for_status().json()["id"]
        with self._server.client.stream("GET", f"runs/{run}/events") as events:
            last = [line for line in events.iter_lines() if line.startswith("data: ")][-1]
        wall, cpu = time.monotonic() - began, self._server.measure_cpu() - used
        if (counts := json.loads(last.removeprefix("data: "))["counts"]) != {"succeeded": count}:
            raise SystemExit(f"The server's run ended with {counts}.")
        return Figures(wall, cpu, self._server.measure_memory())

    def push_with_floor(self, count: int, username: str) -> Figures:
        """Run floor.py."""
        return measure([sys.executable, HERE / "floor.py", self._folder / f"{count}.json", username], {})

    def push_with_playbook(self, count: int, username: str) -> Figures:
        """Run a playbook of one `user` task, with pipelining and shared connections."""
        return self._play(count, username, facts=True)

    def push_with_task(self, count: int, username: str) -> Figures:
        """Run the same without gathering facts: the `user` task alone."""
        return self._play(count, username, facts=False)

    def _play(self, count: int, username: str, *, facts: bool) -> Figures:
        task = {"ansible.builtin.user": {"name": username, "password": HASH}}
        playbook = self._folder / "playbook.yml"
        playbook.write_text(json.dumps([{"hosts": "all", "gather_facts": facts, "tasks": [task]}]))
        return measure(
            [BIN / "ansible-playbook", "-i", self._folder / f"{count}.ini", "-f", "50", playbook],
            {
                "ANSIBLE_PIPELINING": "1",
                "ANSIBLE_HOST_KEY_CHECKING": "0",
                "ANSIBLE_SSH_ARGS": "-o ControlMaster=auto -o ControlPersist=60s "
                f"-o ControlPath={self._folder}/%C",
                "ANSIBLE_PYTHON_INTERPRETER": "/usr/bin/python3",
            },
        )


def report(name: str, alls: Sequence[Figures], ones: Sequence[Figures], floors: Sequence[Figures]) -> float:
    """Print one line, and return the CPU seconds per account beyond start-up."""
    middle = statistics.median
    each = (middle(f.cpu for f in alls) - middle(f.cpu for f in ones)) / (HOSTS - 1)
    ratio = middle(mine.wall / floor.wall for mine, floor in zip(alls, floors, strict=True))
    print(
        f"{name:<22}{middle(f.wall for f in alls):>8.2f}{middle(f.cpu for f in alls):>8.2f}{each * 1000:>16.1f}"
        f"{max(f.memory for f in alls):>10.0f}{ratio:>14.2f}"
    )
    return each


def main() -> None:
    """Measure, and print a table."""
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
    with (
        tempfile.TemporaryDirectory(prefix="provost-bench-") as name,
        Lab(Path(name) / "lab") as lab,
        ExitStack() as ending,
    ):
        began = time.monotonic()
        hosts = lab.up(HOSTS, prefix="bench")
        print(f"{HOSTS} hosts up in {time.monotonic() - began:.1f} s; {ROUNDS} rounds")
        rivals = Rivals(Path(name), hosts, lab.root_key)
        ending.callback(rivals.stop)
        ways = {
            "floor": rivals.push_with_floor,
            "provost": rivals.push_with_provost,
            "provost, by a server": rivals.push_with_server,
            "provost, no proof": rivals.push_unproven,
            "ansible, facts off": rivals.push_with_task,
            "ansible, as by default": rivals.push_with_playbook,
        }
        alls: dict[str, list[Figures]] = {way: [] for way in ways}
        ones: dict[str, list[Figures]] = {way: [] for way in ways}
        single, ten = [], []
        for number in range(ROUNDS):
            for place, (way, push) in enumerate(ways.items()):
                ones[way].append(push(1, f"one{number}-{place}"))
                alls[way].append(push(HOSTS, f"all{number}-{place}"))
            single.append(rivals.push_with_provost(1, f"single{number}"))
            ten.append(rivals.push_with_provost(1, *(f"ten{number}x{place}" for place in range(10))))
        columns = f"{'wall s':>8}{'CPU s':>8}{'CPU ms/account':>16}{'peak MiB':>10}{'wall / floor':>14}"
        print(f"{'':<22}{columns}")
        each = {way: report(way, alls[way], ones[way], alls["floor"]) for way in ways}
        for what in ("wall", "cpu"):
            more = statistics.median(
                getattr(b, what) / getattr(a, what)
                for a, b in zip(alls["provost"], alls["provost, by a server"], strict=True)
            )
            print(f"A run through the server takes {more:.2f} times the {what} of the same push by the CLI.")
        tenfold = statistics.median(t.wall / s.wall for t, s in zip(ten, single, strict=True))
        for mine, rival in (
            ("provost", "ansible, as by default"),
            ("provost", "ansible, facts off"),
            ("provost, no proof", "ansible, facts off"),
        ):
            faster = statistics.median(b.wall / a.wall for a, b in zip(alls[mine], alls[rival], strict=True))
            print(f"{mine} is {faster:.1f} times faster than {rival}.")
        print(f"Beyond start-up, CPU per account is {each['provost'] / each['floor']:.2f} times the floor's.")
        print(f"Ten accounts on one host take {tenfold:.2f} times the wall time of one.")


if __name__ == "__main__":
    main()

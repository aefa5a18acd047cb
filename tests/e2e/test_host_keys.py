"""Which host keys are believed: pinned at first contact, an OpenSSH known_hosts file's, and certificates."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from tests.conftest import LabHosts
from tests.e2e.conftest import Vault, check_logins

from provost.lab import Host


def list_attempts(host: Host) -> list[str]:
    """Return what a host's sshd tells of anybody who got as far as naming an account."""
    lines = host.log.read_text().splitlines()
    return [line for line in lines if line.startswith(("Accepted", "Failed", "Invalid", "Postponed"))]


def list_host_keys(vault: Vault, host: Host) -> list[tuple[str, str]]:
    """Return the keys that Provost has of a host, the newest first, each with its state."""
    shown = vault.read("asset", "show", host.name)["asset"]["host_keys"]
    return [(key["key"], key["state"]) for key in shown]


def restart_sshd(host: Host) -> None:
    """Let sshd take up its new configuration or key."""
    host.stop_sshd()
    host.start_sshd()


def give_new_key(host: Host) -> str:
    """Give a host another key, as a reinstallation does, and return it as a public line."""
    key = "/etc/ssh/ssh_host_ed25519_key"
    host.run(f"rm {key} {key}.pub; ssh-keygen -q -t ed25519 -N '' -f {key}")
    restart_sshd(host)
    return " ".join(host.run(f"cat {key}.pub").stdout.split()[:2])


async def test_a_changed_key(lab_hosts: LabHosts, vault: Vault) -> None:
    """A key is pinned at first contact; another one then stops all on that asset alone, until it is trusted."""
    changed, same = hosts = lab_hosts(2)
    vault.add(*hosts)
    vault.push("ann", to=["/lab"], options=["--dry-run"])
    for host in hosts:
        assert list_host_keys(vault, host) == [(host.host_key, "trusted")]
    new_key = give_new_key(changed)
    before = list_attempts(changed)
    for options in ([], ["--dry-run"], []):
        records = vault.push("ann", to=["/lab"], options=options, status=1)
        record = records[changed.name, "ann"]
        assert (record["status"], record["reason"]) == ("failed", "host_key_changed"), record
        assert f"provost asset trust {changed.name}" in record["message"]
        assert records[same.name, "ann"]["reason"] in {"", "dry_run"}
    assert list_attempts(changed) == before
    assert list_host_keys(vault, changed) == [(changed.host_key, "trusted")]
    vault.run("asset", "trust", changed.name)
    vault.push("ann", to=["/lab"])
    assert list_host_keys(vault, changed) == [(new_key, "trusted"), (changed.host_key, "replaced")]
    await check_logins(vault, hosts, ["ann"])


def make_strict(vault: Vault, known_hosts: Path, *lines: str) -> Vault:
    """Return the same vault in strict mode, with a known_hosts file of these lines."""
    known_hosts.write_text("".join(f"{line}\n" for line in lines))
    settings = {"PROVOST_STRICT_HOST_KEYS": "1", "PROVOST_KNOWN_HOSTS": str(known_hosts)}
    return replace(vault, settings=settings)


def name_address(host: Host) -> str:
    """Return a host's address as known_hosts names it (sshd(8))."""
    return host.address if host.port == 22 else f"[{host.address}]:{host.port}"


async def test_strict_mode_and_known_hosts(host: Host, vault: Vault, tmp_path: Path) -> None:
    """Strict, only what a known_hosts file says is believed, by name or hashed; nothing is pinned."""
    vault.add(host)
    file = tmp_path / "known_hosts"
    address = name_address(host)
    strict = make_strict(vault, file)
    record = strict.push("ann", to=[host.name], status=1)[host.name, "ann"]
    assert (record["status"], record["reason"]) == ("failed", "host_key_unknown"), record
    assert "known_hosts" in record["message"]

    other = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMDLqcTxrBpO0ljUykrn/DSYFaEcCP1gbz1DvqYFLjkz"
    make_strict(vault, file, f"{address} {other}")
    record = strict.push("ann", to=[host.name], status=1)[host.name, "ann"]
    assert (record["status"], record["reason"]) == ("failed", "host_key_changed"), record

    make_strict(vault, file, f"{address} {host.host_key}", f"@revoked * {host.host_key}")
    record = strict.push("ann", to=[host.name], status=1)[host.name, "ann"]
    assert record["status"] == "failed", record
    assert "revoked" in record["message"]

    file.unlink()
    record = strict.push("ann", to=[host.name], status=1)[host.name, "ann"]
    assert (record["status"], record["reason"]) == ("failed", "known_hosts_unreadable"), record
    assert list_attempts(host) == []

    make_strict(vault, file, f"{address} {host.host_key}")
    strict.push("ann", to=[host.name])
    subprocess.run(["ssh-keygen", "-q", "-H", "-f", file], check=True, capture_output=True)
    assert host.address not in file.read_text()
    strict.push("ben", to=[host.name])
    await check_logins(vault, [host], ["ann", "ben"])
    assert list_host_keys(vault, host) == []


@pytest.fixture
def authority(tmp_path: Path) -> Callable[[str], Path]:
    """A function that makes a certificate authority of a name, and returns its private key's file."""

    def make(name: str) -> Path:
        path = tmp_path / name
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", path], check=True)
        return path

    return make


def certify(host: Host, authority: Path, principal: str) -> None:
    """Give a host a certificate for its key."""
    key = authority.with_name(f"{host.name}.pub")
    key.write_text(f"{host.host_key}\n")
    words = ["ssh-keygen", "-q", "-s", authority, "-h", "-I", host.name, "-n", principal, "-V", "-1h:+1h", key]
    subprocess.run(words, check=True)
    certificate = key.with_name(f"{host.name}-cert.pub").read_text()
    host.run("cat > /etc/ssh/host-cert.pub; sed -i /^HostCertificate/d /etc/ssh/sshd_config", stdin=certificate)
    host.run("sed -i '1i HostCertificate /etc/ssh/host-cert.pub' /etc/ssh/sshd_config")
    restart_sshd(host)


async def test_certificates(host: Host, vault: Vault, authority: Callable[[str], Path], tmp_path: Path) -> None:
    """A host certificate counts when a known authority made it, for this very host."""
    vault.add(host)
    ours, theirs = authority("ours"), authority("theirs")
    line = f"@cert-authority {name_address(host)} {ours.with_suffix('.pub').read_text()}"
    strict = make_strict(vault, tmp_path / "known_hosts", line)
    wrong = ((theirs, host.address, "CA key is not trusted"), (ours, "127.1.255.1", "principal mismatch"))
    for signed_by, principal, why in wrong:
        certify(host, signed_by, principal)
        for trusting in (
            strict,
            replace(strict, settings={**strict.settings, "PROVOST_STRICT_HOST_KEYS": "0"}),
        ):
            record = trusting.push("ann", to=[host.name], status=1)[host.name, "ann"]
            assert (record["status"], record["reason"]) == ("failed", "host_key_changed"), record
            assert why in record["message"]
    assert list_attempts(host) == []
    certify(host, ours, host.address)
    strict.push("ann", to=[host.name])
    await check_logins(vault, [host], ["ann"])
    assert list_host_keys(vault, host) == []

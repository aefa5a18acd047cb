"""The real server, `provost serve`, as a process."""

import asyncio
import json
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from tests.conftest import PATIENCE, copy_empty_home

pytestmark = pytest.mark.once

Provost = Callable[..., subprocess.CompletedProcess[str]]
Serve = Callable[..., Any]


def make_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Write a self-made certificate for 127.0.0.1, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=90))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    files = folder / "certificate.pem", folder / "key.pem"
    files[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    files[1].touch(0o600)
    files[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
    )
    return files


def test_server_on_an_empty_machine(serve: Serve, environment: dict[str, str]) -> None:
    """It makes what is not there, tells its real address, answers the probes, and ends by SIGTERM with 0."""
    home = Path(environment["PROVOST_HOME"])
    home.mkdir(mode=0o700)
    server = serve()
    assert home.stat().st_mode & 0o777 == 0o700
    assert all(file.stat().st_mode & 0o777 == 0o600 for file in home.iterdir())
    assert server.ask("GET", "/healthz").text == "ok\n"
    ready = server.ask("GET", "/readyz")
    fine = dict.fromkeys(("database", "migrations", "keyset", "worker", "disk"), "ok")
    assert (ready.status_code, ready.json()["checks"]) == (200, fine)
    assert server.stop() == 0
    again = serve()
    assert again.ask("GET", "/healthz").status_code == 200
    assert again.stop(signal.SIGINT) == 0


def test_not_ready_without_its_master_key(serve: Serve, environment: dict[str, str]) -> None:
    """A master key that is gone is told by its code; the process is alive all the same."""
    server = serve()
    (Path(environment["PROVOST_HOME"]) / "master.key").unlink()
    ready = server.ask("GET", "/readyz")
    assert ready.status_code == 503
    assert ready.json()["checks"]["keyset"] == "master_key_missing"
    assert server.ask("GET", "/healthz").status_code == 200


def test_start_without_the_master_key_is_refused(provost: Provost, environment: dict[str, str]) -> None:
    """A server that could read no secret does not start, and makes no new master key."""
    copy_empty_home(Path(environment["PROVOST_HOME"]))
    key = Path(environment["PROVOST_HOME"]) / "master.key"
    key.unlink()
    assert "master key" in provost("serve", "--port", "0", status=1).stderr
    assert not key.exists()


def test_tls_and_a_renewed_certificate(serve: Serve, tmp_path: Path) -> None:
    """TLS works, HSTS goes with it, and SIGHUP brings in a new certificate, or leaves the old one."""
    certificate, key = make_certificate(tmp_path, "first")
    server = serve("--tls-cert", str(certificate), "--tls-key", str(key))
    trust = ssl.create_default_context(cafile=certificate)
    assert server.url.startswith("https://127.0.0.1:")
    answer = server.ask("GET", "/healthz", verify=trust)
    assert answer.headers["strict-transport-security"] == "max-age=31536000"
    with pytest.raises(httpx.ConnectError):
        server.ask("GET", "/healthz")
    make_certificate(tmp_path, "second")
    server.process.send_signal(signal.SIGHUP)
    wait_for(server, "The certificate was read anew.")
    server.ask("GET", "/healthz", verify=ssl.create_default_context(cafile=certificate))
    key.write_text("nonsense")
    server.process.send_signal(signal.SIGHUP)
    wait_for(server, "The old one stays.")
    server.ask("GET", "/healthz", verify=ssl.create_default_context(cafile=certificate))
    assert server.stop() == 0


def wait_for(server: Any, text: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        if text in server.log:
            return
        with pytest.raises(subprocess.TimeoutExpired):
            server.process.wait(0.05)
    pytest.fail(f"{text!r} is not in the log:\n{server.log}")


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104  # what is to be refused
def test_open_listening_takes_tls(provost: Provost, environment: dict[str, str], host: str) -> None:
    """What other machines reach is not served in clear, and nothing is made on the way to the refusal."""
    error = provost("serve", "--host", host, "--port", "0", status=2).stderr
    assert "--tls-cert" in error
    assert "PROVOST_TRUSTED_PROXIES" in error
    assert not Path(environment["PROVOST_HOME"]).exists()


def test_behind_a_proxy(serve: Serve) -> None:
    """With a trusted proxy it listens openly, and believes it: address, TLS, and the request's id."""
    server = serve(
        "--host",
        "0.0.0.0",  # noqa: S104  # a proxy is in front
        "--log-json",
        PROVOST_TRUSTED_PROXIES="127.0.0.1",
        PROVOST_ALLOWED_HOSTS="p.example",
    )  # a proxy is in front
    url = server.url.replace("0.0.0.0", "127.0.0.1")  # noqa: S104  # as above
    told = {"X-Forwarded-For": "192.0.2.7", "X-Forwarded-Proto": "https", "X-Request-ID": "from-proxy"}
    answer = httpx.get(f"{url}/nothing", timeout=PATIENCE, headers=told | {"Host": "p.example"})
    assert answer.status_code == 404
    assert answer.headers["x-request-id"] == "from-proxy"
    assert "strict-transport-security" in answer.headers
    refused = httpx.get(f"{url}/nothing", timeout=PATIENCE, headers={"Host": "other.example"})
    assert refused.json()["code"] == "host_refused"
    server.stop()  # a request is noted once it is answered
    (line,) = [json.loads(line) for line in server.log.splitlines() if "from-proxy" in line]
    assert line["source"] == "192.0.2.7"


@pytest.mark.parametrize(
    ("words", "variables", "told"),
    [
        (["--tls-cert", "/nowhere"], {}, "one is missing"),
        (["--tls-cert", "/nowhere", "--tls-key", "/nowhere"], {}, "No such file"),
        (["--tls-cert", "/etc/passwd", "--tls-key", "/etc/passwd"], {}, "Both are PEM files"),
        (["--host", "nowhere.invalid"], {}, "PROVOST_HOST cannot be used"),
        ([], {"PROVOST_LOG_FORMAT": "xml"}, "PROVOST_LOG_FORMAT cannot be used"),
    ],
)
def test_settings_that_cannot_be_used(
    provost: Provost, environment: dict[str, str], words: list[str], variables: dict[str, str], told: str
) -> None:
    """They are told before anything is made."""
    environment |= variables
    assert told in provost("serve", "--port", "0", *words, status=2).stderr
    assert not Path(environment["PROVOST_HOME"]).exists()


def test_taken_port_is_told(provost: Provost) -> None:
    """A port that is taken is an error in one line."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        error = provost("serve", "--port", str(taken.getsockname()[1]), status=1).stderr
    assert "Address already in use" in error
    assert len(error.splitlines()) == 1


def test_no_secret_of_a_request_is_logged(serve: Serve) -> None:
    """At DEBUG, and in both forms, a token, a password in a body and one in a query stay out of the log."""
    for form in ("text", "json"):
        server = serve(PROVOST_LOG_LEVEL="debug", PROVOST_LOG_FORMAT=form)
        for path in ("/api/v1/accounts", "/metrics", "/readyz", "/nothing%1b%5b31m"):
            for method in ("GET", "POST"):
                server.ask(
                    method,
                    path,
                    params={"password": "hush-query"},
                    json={"username": "x", "secret": {"password": "hush-body"}},
                    headers={"Authorization": "Bearer hush-token", "Cookie": "sessionid=hush-cookie"},
                )
        with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2]))) as raw:
            raw.sendall(b"GET /hush-raw?hush HTTP/9.9\r\n\x00hush\r\n\r\n")
            raw.recv(1000)
        assert server.stop() == 0
        assert "hush" not in server.log
        assert "\x1b" not in server.log
        assert "POST /api/v1/accounts" in server.log
        if form == "json":
            documents = [json.loads(line) for line in server.log.splitlines()]
            lines = [one for one in documents if one["logger"] == "provost.request"]
            assert len(lines) >= 8
            assert all(one["request_id"] and one["source"] == "127.0.0.1" for one in lines)


async def test_connections_to_the_database_do_not_grow(serve: Serve) -> None:
    """Each request has a thread of its own, and its connection ends with it."""
    server = serve()
    folder = Path(f"/proc/{server.process.pid}/fd")

    def count() -> int:
        return sum(1 for file in folder.iterdir() if file.exists() or file.is_symlink())

    async with httpx.AsyncClient(base_url=server.url, timeout=PATIENCE) as client:
        await asyncio.gather(*(client.get("/readyz") for _ in range(20)))
        before = count()
        for _ in range(10):
            answers = await asyncio.gather(*(client.get("/readyz") for _ in range(20)))
            assert all(one.json()["checks"]["database"] == "ok" for one in answers)
        after = count()
    assert after <= before + 25  # at most a pool's connections more
    assert server.stop() == 0


def test_two_signals_stop_at_once(serve: Serve) -> None:
    """While a request is not finished a stop waits for it; a second signal does not."""
    server = serve()
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as slow:
        slow.sendall(b"POST /api/v1/x HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 10\r\n\r\nx")
        server.ask("GET", "/healthz")
        server.process.send_signal(signal.SIGTERM)
        with pytest.raises(subprocess.TimeoutExpired):
            server.process.wait(1)
        assert server.stop(signal.SIGTERM) == 128 + signal.SIGTERM


def test_upgrade_is_asked_for(provost: Provost, environment: dict[str, str]) -> None:
    """A database of an older version is not changed by a server that starts: others may still use it."""
    copy_empty_home(Path(environment["PROVOST_HOME"]))
    forget_last_migration(environment)
    assert "provost init" in provost("serve", "--port", "0", status=2).stderr


def forget_last_migration(environment: dict[str, str]) -> None:
    statement = "DELETE FROM django_migrations WHERE app = 'server' AND name LIKE '0004%'"
    if url := environment.get("PROVOST_DATABASE_URL"):
        import psycopg

        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute(statement)
    else:
        import sqlite3
        from contextlib import closing

        with closing(sqlite3.connect(Path(environment["PROVOST_HOME"]) / "provost.sqlite3")) as lite, lite:
            lite.execute(statement)


@pytest.mark.usefixtures("database")
def test_unit_waits_for_a_clean_stop() -> None:
    """A stop by systemd waits longer than the server takes to hand its runs over, or to halt them."""
    from provost.cli import serving

    unit = Path(__file__).parents[2] / "deploy" / "provost.service"
    settings = dict(line.split("=", 1) for line in unit.read_text().splitlines() if "=" in line)
    assert int(settings["TimeoutStopSec"]) > serving._REQUEST_PATIENCE + serving._RUN_PATIENCE + 15


async def test_watchers_keep_no_connection_and_end_with_the_server(serve: Serve) -> None:
    """More streams of events than the pool has connections leave the server ready, and a stop ends them all."""
    server = serve()
    async with httpx.AsyncClient(base_url=f"{server.url}/api/v1", timeout=PATIENCE) as client:
        client.headers["Authorization"] = f"Bearer {await asyncio.to_thread(server.set_up)}"
        for path, body in (
            ("/assets", {"name": "web1", "kind": "linux", "address": "192.0.2.1"}),
            (
                "/accounts",
                {"username": "root", "asset": "web1", "privileged": True, "secret": {"password": "x"}},
            ),
        ):
            assert (await client.post(path, json=body)).status_code == 201
        spec = {"assets": ["web1"], "usernames": ["bob"], "secret_type": "password", "connect_timeout": 60}
        run = (await client.post("/runs", json={"spec": spec})).json()["id"]

        async def watch(began: asyncio.Semaphore) -> str:
            told = ""
            async with client.stream("GET", f"/runs/{run}/events") as stream:
                async for part in stream.aiter_text():
                    told += part
                    began.release()
            return told

        began = asyncio.Semaphore(0)
        watchers = [asyncio.create_task(watch(began)) for _ in range(40)]
        for _ in watchers:
            await asyncio.wait_for(began.acquire(), PATIENCE)
        ready = await client.get(f"{server.url}/readyz")
        assert ready.json()["checks"]["database"] == "ok"
        server.process.send_signal(signal.SIGTERM)
        told = await asyncio.gather(*watchers)
    assert all(one.startswith("event: progress") for one in told)
    assert await asyncio.to_thread(server.process.wait, PATIENCE) == 0


def test_a_database_that_is_gone_is_not_made_anew(serve, environment):
    """A running server answers 503 and makes no file; one that starts there refuses, until `init` says so."""
    if "PROVOST_DATABASE_URL" in environment:
        pytest.skip("PostgreSQL keeps its own files")
    home = Path(environment["PROVOST_HOME"])
    server = serve()
    token = server.set_up()
    headers = {"Authorization": f"Bearer {token}"}
    log = home / "provost.sqlite3-wal"
    size = log.stat().st_size
    moved = (home / "provost.sqlite3").rename(home / "moved")
    gone = server.ask("GET", "/api/v1/assets", headers=headers)
    assert (gone.status_code, gone.json()["code"]) == (503, "database_error")
    assert server.ask("GET", "/readyz").status_code == 503
    assert not (home / "provost.sqlite3").exists()
    assert log.stat().st_size >= size
    server.process.kill()
    server.process.wait()
    with pytest.raises(pytest.fail.Exception, match="no database beside it"):
        serve()
    moved.rename(home / "provost.sqlite3")
    again = serve()
    assert again.ask("GET", "/api/v1/whoami", headers=headers).json()["name"] == "ada"

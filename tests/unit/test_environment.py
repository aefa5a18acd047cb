import re
from pathlib import Path

import pytest

from provost.config.environment import Environment, list_unknown, name_variable, read_environment
from provost.core.errors import UsageError

COMPUTED = {
    "PROVOST_HOME": "`~/.provost`",
    "PROVOST_DATABASE_URL": "SQLite, `provost.sqlite3` in the data folder",
    "PROVOST_MASTER_KEY_FILE": "`master.key` in the data folder",
    "PROVOST_ALLOWED_HOSTS": "`localhost`, the loopback addresses and `PROVOST_HOST`",
    "PROVOST_WEBHOOK_REFUSED_NETWORKS": (
        "`169.254.0.0/16,100.100.100.200,168.63.129.16,fe80::/10,fd00:ec2::254,fd20:ce::254`"
    ),
}
"""What the table says of defaults that are not a plain value of the model."""


def show(value: object) -> str:
    if value is None or value in ((), frozenset()):
        return "none"
    return "off" if value is False else f"`{value}`"


def test_table_of_the_docs_is_the_model() -> None:
    """docs/configuration.md lists exactly the variables that there are, with their defaults."""
    page = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text()
    told = dict(re.findall(r"^\| `(PROVOST_\w+)` \| .+ \| (.+) \|$", page, re.MULTILINE))
    made = {
        name_variable(name): COMPUTED.get(name_variable(name), show(field.default))
        for name, field in Environment.model_fields.items()
    }
    assert told == made


def test_defaults_that_are_computed() -> None:
    """The data folder is in the user's home, and the master key in the data folder, wherever that is."""
    assert read_environment({}).home == Path.home() / ".provost"
    assert read_environment({"PROVOST_HOME": "/x"}).master_key_file == Path("/x/master.key")
    assert read_environment({"PROVOST_PORT": ""}).port == 8443


def test_values_are_read() -> None:
    """Lists have commas between; a single address is a network; switches are 1 or 0."""
    read = read_environment(
        {
            "PROVOST_ALLOWED_HOSTS": "a.example, b.example",
            "PROVOST_TRUSTED_PROXIES": "10.0.0.5,fd00::/8",
            "PROVOST_STRICT_HOST_KEYS": "1",
            "PROVOST_DEBUG": "0",
        }
    )
    assert read.allowed_hosts == ("a.example", "b.example")
    assert [str(network) for network in read.trusted_proxies] == ["10.0.0.5/32", "fd00::/8"]
    assert (read.strict_host_keys, read.debug) == (True, False)


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("PROVOST_PORT", "hush"),
        ("PROVOST_PORT", "70000"),
        ("PROVOST_DATABASE_URL", "nonsense://me:hush@host/x"),
        ("PROVOST_TRUSTED_PROXIES", "10.0.0.5,hush"),
        ("PROVOST_LOG_LEVEL", "hush"),
        ("PROVOST_DEBUG", "hush"),
        ("PROVOST_WORKER_RUNS", "0"),
        ("PROVOST_SMTP_URL", "smtp://me:hush@mail.example.org"),
        ("PROVOST_SMTP_URL", "https://hush.example.org"),
        ("PROVOST_SMTP_URL", "smtps://mail.example.org?hush"),
        ("PROVOST_MAIL_FROM", "hush <a@example.org>"),
        ("PROVOST_PUBLIC_URL", "https://me:hush@provost.example.org"),
        ("PROVOST_WEBHOOK_REFUSED_NETWORKS", "hush"),
    ],
)
def test_refusals_name_the_variable_and_not_the_value(variable: str, value: str) -> None:
    """What cannot be used is named, with what it should be; its value may be secret."""
    with pytest.raises(UsageError) as refused:
        read_environment({variable: value})
    assert refused.value.code == "settings_refused"
    assert refused.value.message.startswith(f"{variable} cannot be used. It is ")
    assert "hush" not in refused.value.message
    assert refused.value.__cause__ is None


def test_mistyped_variables_are_found() -> None:
    """What looks like a setting and is none is listed."""
    assert list_unknown({"PROVOST_PROT": "1", "PROVOST_PORT": "1", "_PROVOST_COMPLETE": ""}) == ["PROVOST_PROT"]


def test_settings_are_told_without_secrets() -> None:
    """Of the database's URL neither password nor parameters; of the rest what it is."""
    told = {
        variable: value
        for variable, _, value, _ in read_environment(
            {
                "PROVOST_DATABASE_URL": "postgresql://me:hu%40sh@db:5432/x?password=hush",
                "PROVOST_ALLOWED_HOSTS": "b.example,a.example",
                "PROVOST_STRICT_HOST_KEYS": "1",
                "PROVOST_SMTP_URL": "smtp://me:hush@mail:587?starttls",
            }
        ).describe()
    }
    assert told["PROVOST_DATABASE_URL"] == "postgresql://me:***@db:5432/x?***"
    assert told["PROVOST_SMTP_URL"] == "smtp://me:***@mail:587?starttls"
    assert told["PROVOST_ALLOWED_HOSTS"] == "a.example,b.example"
    assert told["PROVOST_STRICT_HOST_KEYS"] == "1"
    assert told["PROVOST_KNOWN_HOSTS"] is None

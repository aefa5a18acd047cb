from pathlib import Path

import pytest

from provost.core.documents import ImportDocument
from provost.core.errors import Conflict, Refused
from provost.core.keys import KeyAlgorithm
from provost.core.model import SecretType
from provost.core.rights import make_local
from provost.core.secrets import Password, Secret
from provost.vault.keys import generate_key

pytestmark = pytest.mark.usefixtures("database")

BY = make_local("tester")
INVENTORY = """
nodes: [/empty]
assets:
  - name: jump
    kind: linux
    address: 10.0.0.1
    options: {via_account: passer}
  - {name: web1, kind: linux, address: 10.0.0.2, port: 2222, via: jump, nodes: [/prod/web, /eu]}
accounts:
  - username: root
    asset: web1
    privileged: yes
    password: 0123
  - {username: ops, asset: web1, priority: 3, become: sudo, privileged: true, key_file: ops.key}
  - {username: passer, asset: jump, password: "yes"}
"""


def bring_in(folder: Path, text: str, name: str = "inventory.yaml") -> dict[str, dict[str, int]]:
    from provost.server.services.imports import import_inventory
    from provost.server.services.inventory_files import read_inventory

    file = folder / name
    file.write_text(text)
    return import_inventory(by=BY, inventory=read_inventory(file), name=str(file)).counts


def refuse(folder: Path, text: str, name: str = "inventory.yaml") -> list[str]:
    """Bring in what is wrong, make sure that nothing came in, and return the lines of the error."""
    from provost.server.models import Account, Asset, Node

    with pytest.raises(Refused) as caught:
        bring_in(folder, text, name)
    assert caught.value.code == "import_refused"
    assert [model.objects.count() for model in (Asset, Account, Node)] == [0, 0, 0]
    return caught.value.message.splitlines()[1:]


def read_current(username: str, asset: str) -> dict[SecretType, Secret]:
    from provost.server.services import accounts, secrets

    account = accounts.find_account(by=BY, username=username, asset=asset)
    return secrets.read_current(account_ids=[account.id])[account.id]


def test_whole_inventory_comes_in(tmp_path: Path) -> None:
    """Nodes, assets with their routes, and accounts with secrets exactly as written come in from one file."""
    from provost.server.services import accounts, assets
    from provost.server.services.nodes import list_nodes

    key = generate_key(KeyAlgorithm.ED25519)
    (tmp_path / "ops.key").write_text(key.private or "")
    counts = bring_in(tmp_path, INVENTORY)
    assert counts == {
        "nodes": {"added": 4},
        "assets": {"added": 2},
        "accounts": {"added": 3},
        "secrets": {"set": 3, "kept": 0},
    }
    web1 = assets.find_asset(by=BY, name="web1")
    assert (web1.port, web1.via.name, web1.address) == (2222, "jump", "10.0.0.2")
    assert sorted(node.full_path for node in web1.nodes.all()) == ["/eu", "/prod/web"]
    assert {node.full_path for node, _ in list_nodes(by=BY)} == {"/empty", "/eu", "/prod", "/prod/web"}
    assert assets.find_asset(by=BY, name="jump").options == {"via_account": "passer"}
    assert read_current("root", "web1") == {SecretType.PASSWORD: Password("0123")}
    assert read_current("passer", "jump") == {SecretType.PASSWORD: Password("yes")}
    assert read_current("ops", "web1") == {SecretType.SSH_KEY: key}
    ops = accounts.find_account(by=BY, username="ops", asset="web1")
    assert (ops.privileged, ops.priority, ops.become) == (True, 3, "sudo")
    assert len(accounts.list_accounts(by=BY)[0]) == 3


def test_same_file_again_changes_nothing(tmp_path: Path) -> None:
    """A file that was brought in before leaves everything as it is, secrets included."""
    (tmp_path / "ops.key").write_text(generate_key(KeyAlgorithm.ED25519).private or "")
    bring_in(tmp_path, INVENTORY)
    before = read_current("root", "web1")
    counts = bring_in(tmp_path, INVENTORY.replace("0123", "4567"))
    assert counts == {
        "nodes": {"added": 0},
        "assets": {"unchanged": 2},
        "accounts": {"unchanged": 3},
        "secrets": {"set": 0, "kept": 3},
    }
    assert read_current("root", "web1") == before


def test_fields_that_are_given_change_what_is_there(tmp_path: Path) -> None:
    """Of what is there, only the fields in the file change; a secret only where its row says replace."""
    from provost.server.services import accounts, assets

    (tmp_path / "ops.key").write_text(generate_key(KeyAlgorithm.ED25519).private or "")
    bring_in(tmp_path, INVENTORY)
    counts = bring_in(
        tmp_path,
        """
assets:
  - {name: web1, address: 10.9.9.9, nodes: [/prod/db]}
  - {name: jump, options: {via_account: passer}}
accounts:
  - {username: root, asset: web1, priority: 7, password: new, replace: yes}
  - {username: ops, asset: web1}
""",
    )
    assert counts == {
        "nodes": {"added": 1},
        "assets": {"updated": 1, "unchanged": 1},
        "accounts": {"updated": 1, "unchanged": 1},
        "secrets": {"set": 1, "kept": 0},
    }
    web1 = assets.find_asset(by=BY, name="web1")
    assert (web1.address, web1.port, web1.via.name) == ("10.9.9.9", 2222, "jump")
    assert [node.full_path for node in web1.nodes.all()] == ["/prod/db"]
    root = accounts.find_account(by=BY, username="root", asset="web1")
    assert (root.privileged, root.priority) == (True, 7)
    assert read_current("root", "web1") == {SecretType.PASSWORD: Password("new")}


def test_import_leaves_accounts_alone_that_a_run_works_on(tmp_path: Path) -> None:
    """While a run works on an asset, what would change its accounts is refused; what changes nothing is not."""
    from provost.core.push import PushSpec
    from provost.server.models import Asset
    from provost.server.services import locks, runs

    (tmp_path / "ops.key").write_text(generate_key(KeyAlgorithm.ED25519).private or "")
    bring_in(tmp_path, INVENTORY)
    spec = PushSpec(assets=("web1",), usernames=("bob",), secret_type=SecretType.PASSWORD)
    run = runs.create_run(by=BY, spec=spec, specified=None, attended=False)
    asset = Asset.objects.get(name="web1")
    assert locks.acquire_locks(run_id=run.id, asset_ids=[asset.id]) == {asset.id}
    bring_in(tmp_path, INVENTORY)
    for change in ("password: x, replace: true", "priority: 7"):
        with pytest.raises(Conflict, match="works on web1"):
            bring_in(tmp_path, f"accounts: [{{username: root, asset: web1, {change}}}]")
    assert read_current("root", "web1") == {SecretType.PASSWORD: Password("0123")}


def test_import_is_told_in_the_audit_trail(tmp_path: Path) -> None:
    """What it changed is there by name, with what was and what is, and no secret."""
    from provost.server.models import AuditEntry

    (tmp_path / "ops.key").write_text(generate_key(KeyAlgorithm.ED25519).private or "")
    bring_in(tmp_path, INVENTORY)
    told = AuditEntry.objects.get(action="inventory.import").details
    assert told["assets_added"] == ["jump", "web1"]
    assert told["accounts_added"] == ["root@web1", "ops@web1", "passer@jump"]
    assert told["secrets_set"] == ["password of root@web1", "ssh_key of ops@web1", "password of passer@jump"]
    bring_in(
        tmp_path,
        "assets: [{name: web1, address: 192.0.2.66}]\n"
        "accounts: [{username: root, asset: web1, priority: 1, password: hush, replace: true}]",
    )
    entry = AuditEntry.objects.filter(action="inventory.import").latest("number")
    assert entry.details["assets_changed"] == {"web1": {"address": ["10.0.0.2", "192.0.2.66"]}}
    assert entry.details["accounts_changed"] == {"root@web1": {"priority": [10, 1]}}
    assert entry.details["secrets_set"] == ["password of root@web1"]
    assert "hush" not in str(entry.details)


def test_a_dry_run_tells_what_would_come_in_and_leaves_nothing(tmp_path: Path) -> None:
    """It tells just what the import then tells, or refuses as it would, and leaves no row, secret or entry."""
    from provost.server.api.imports import import_inventory
    from provost.server.api.inventory import make_body
    from provost.server.models import Account, Asset, AuditEntry, Node
    from provost.server.models.secrets import SecretVersion
    from provost.server.services.inventory_files import read_inventory

    def run(text: str, *, dry_run: bool) -> ImportDocument:
        file = tmp_path / "inventory.yaml"
        file.write_text(text)
        return import_inventory(BY, make_body(read_inventory(file), name="inventory", dry_run=dry_run))

    def read_rows() -> list[list[object]]:
        tables = Node, Asset, Account, AuditEntry, SecretVersion, Asset.nodes.through
        return [list(table.objects.order_by("pk").values()) for table in tables]

    (tmp_path / "ops.key").write_text(generate_key(KeyAlgorithm.ED25519).private or "")
    change = """
nodes: [/eu/new]
assets: [{name: web1, address: 10.9.9.9, nodes: [/prod/db]}, {name: web2, kind: linux, address: a, via: web1}]
accounts:
  - {username: root, asset: web1, priority: 7, password: hush-hush, replace: yes}
  - {username: root, asset: web2, password: hush-hush}
"""
    for text in (INVENTORY, change):
        before = read_rows()
        told = run(text, dry_run=True)
        assert read_rows() == before
        done = run(text, dry_run=False)
        assert done == told.model_copy(update={"dry_run": False})
        assert "hush" not in told.model_dump_json()
    assert told.changes.nodes_added == ["/eu/new", "/prod/db"]
    assert told.changes.assets_added == ["web2"]
    assert told.changes.assets_changed == {
        "web1": {"address": ["10.0.0.2", "10.9.9.9"], "nodes": [("/eu", "/prod/web"), ("/prod/db",)]}
    }
    assert told.changes.accounts_added == ["root@web2"]
    assert told.changes.accounts_changed == {"root@web1": {"priority": [10, 7]}}
    assert told.changes.secrets_set == ["password of root@web1", "password of root@web2"]
    with pytest.raises(Refused, match="A route may not"):
        run("assets: [{name: jump, via: web1}]", dry_run=True)


def test_a_body_takes_no_text_that_no_database_could_keep() -> None:
    """Characters that are none are told by line, and more rows than one body takes as of the whole."""
    from provost.server.api import inventory
    from provost.server.services.inventory_files import ImportRefused, Inventory, Row, read_upload

    yaml, csv = 'assets:\n  - {name: web1, comment: "a\\0b"}\n', "name,comment\nweb1,a\0b\n"
    for text, name in ((yaml, "sent.yaml"), (csv, "sent.csv")):
        with pytest.raises(ImportRefused) as caught:
            inventory.make_body(read_upload(text.encode(), name), name=name, dry_run=True)
        assert [place for place, _ in caught.value.faults] == ["line 2"]
    many = Inventory(nodes=[Row(number, {"path": "/a"}) for number in range(100_001)])
    with pytest.raises(ImportRefused, match=r"the whole: nodes: .*at most 100000"):
        inventory.make_body(many, name="many.yaml", dry_run=True)


def test_an_upload_sees_no_other_file(tmp_path: Path) -> None:
    """What is sent may name no file of the server's; all else is as in a file."""
    from provost.server.services.inventory_files import read_upload

    (tmp_path / "ops.key").write_text("hush")
    text = f"accounts:\n- {{username: root, asset: web1, key_file: {tmp_path}/ops.key}}\n"
    found = read_upload(text.encode(), "sent.yaml")
    assert found.errors == [
        (2, "a file beside this one cannot be seen from here: write the key itself, as key.")
    ]
    assert [row.fields for row in found.accounts] == [{"username": "root", "asset": "web1"}]
    assert read_upload(b"\xef\xbb\xbfname,kind\nweb1,linux\n", "SENT.CSV").assets[0].fields["kind"] == "linux"
    for content, name in ((b"\xff", "sent.yaml"), (b"", "sent.txt")):
        with pytest.raises(Refused) as caught:
            read_upload(content, name)
        assert caught.value.code == "import_refused"


def test_all_errors_of_a_file_are_told_by_line(tmp_path: Path) -> None:
    """All that is wrong in a file is listed at once by line, no secret among it, and nothing comes in."""
    lines = refuse(
        tmp_path,
        """\
nodes:
  - prod
assets:
  - {name: web1, kind: linux, address: a}
  - {name: web1, kind: linux, address: a}
  - {kind: linux, address: a}
  - name: web2
    kind: linus
    address: a
  - name: web3
    kind: linux
    address: a
    port: many
  - {name: web4, kind: linux, address: a, via: nobody}
  - {name: web5, kind: linux, address: a, color: red}
  - {name: web6, kind: linux, address: a, options: {color: red}}
accounts:
  - {username: root, asset: web1}
  - {username: root, asset: web9, password: hush-hush}
  - {username: "a:b", asset: web1, password: hush-hush}
  - {username: x, asset: web1, password: "hush\\nhush"}
  - {username: y, asset: web1, password: [hush-hush]}
  - {username: z, asset: web1, key_file: nowhere.key}
  - {username: v, asset: web1, password: hush-hush, become: king}
""",
    )
    assert [int(line.removeprefix("line ").partition(":")[0]) for line in lines] == [
        2, 5, 6, 7, 13, 14, 15, 16, 18, 19, 20, 21, 22, 22, 23, 23, 24,
    ]  # fmt: skip
    assert "hush" not in "".join(lines)
    assert "nowhere.key cannot be read" in lines[-2]
    assert "known are name, kind, address" in lines[6]


def test_long_list_of_errors_is_cut_and_counted(tmp_path: Path) -> None:
    """Of many errors the first twenty are shown, and the others counted."""
    rows = "".join(f"  - {{name: web{number}, kind: linus, address: a}}\n" for number in range(50))
    lines = refuse(tmp_path, "assets:\n" + rows)
    assert len(lines) == 21
    assert lines[-1] == "and 30 more."


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("assets:\n  - name: 'hush-hush\n", 3),
        ("assets:\n  - name: a\n   kind: hush-hush\n", 3),
        ("accounts:\n  - password: @hush-hush\n", 2),
        ("accounts:\n  - password: *hush\n", 2),
        ("accounts: hush-hush\n", 1),
        ("- hush-hush\n", 1),
        ("assets:\n- {name: a, name: b}\n", 2),
        ("accounts:\n- password: !!python/object:os.system hush-hush\n", 2),
        ("assets:\n- [hush-hush]\n", 2),
        ("assets: []\n---\nassets: []\n", 2),
        ("assets:\n- name: \x07hush-hush\n", 1),
    ],
)
def test_what_is_no_inventory_is_told_by_line_unseen(tmp_path: Path, text: str, line: int) -> None:
    """YAML that is broken or of another shape is refused with its line, and not quoted."""
    lines = refuse(tmp_path, text)
    assert lines[0].startswith(f"line {line}: ")
    assert "hush" not in "".join(lines)


def test_assets_and_accounts_come_in_from_csv(tmp_path: Path) -> None:
    """A CSV file brings in assets, or accounts when it has a column `username`; empty cells say nothing."""
    from provost.server.services import accounts, assets

    bring_in(
        tmp_path,
        "name,kind,address,port,nodes,options,comment\r\n"
        'web1,linux,10.0.0.1,,/prod/web; /eu,via_account=x,"one, and\r\ntwo"\r\n'
        "\r\n"
        "web2,linux,10.0.0.2,2222,,,\r\n",
        "assets.csv",
    )
    counts = bring_in(
        tmp_path,
        'username,asset,privileged,password\nroot,web1,yes,"a,""b"" "\nroot,web2,,x\n',
        "accounts.CSV",
    )
    assert counts["accounts"] == {"added": 2}
    (web1, web2), _ = assets.list_assets(by=BY)
    assert (web1.port, web2.port, web1.options) == (22, 2222, {"via_account": "x"})
    assert sorted(node.full_path for node in web1.nodes.all()) == ["/eu", "/prod/web"]
    assert web1.comment.splitlines() == ["one, and", "two"]
    assert [one.privileged for one in accounts.list_accounts(by=BY)[0]] == [True, False]
    assert read_current("root", "web1") == {SecretType.PASSWORD: Password('a,"b" ')}


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("name,kind,adress\nweb1,linux,a\n", 1),
        ("name,name\nweb1,web1\n", 1),
        ("name,kind,address\nweb1,linux\n", 2),
        ('name,kind,address,comment\nweb1,linux,a,"x\ny"\nweb2,linus,a,\n', 4),
        ('name,kind,address\nweb1,linux,"a\n', 2),
        ("username,asset,password\nroot,web1,hush-hush\n", 2),
    ],
)
def test_wrong_csv_is_told_by_line_unseen(tmp_path: Path, text: str, line: int) -> None:
    """CSV with unknown columns, missing cells or wrong values is refused by line, secrets unseen."""
    lines = refuse(tmp_path, text, "inventory.csv")
    assert lines[0].startswith(f"line {line}: ")
    assert "hush" not in "".join(lines)


def test_route_that_comes_back_is_refused(tmp_path: Path) -> None:
    """Assets of one file that are reached through each other do not come in."""
    from provost.server.models import Asset

    with pytest.raises(Refused) as caught:
        bring_in(
            tmp_path,
            "assets:\n"
            "  - {name: a, kind: linux, address: a, via: b}\n"
            "  - {name: b, kind: linux, address: b, via: a}\n",
        )
    assert caught.value.code == "via_loop"
    assert not Asset.objects.exists()


@pytest.mark.parametrize(
    ("name", "content"), [("x.txt", b"assets: []"), ("x.yaml", b"\xff\xfe\xff"), ("missing/x.yaml", None)]
)
def test_file_that_cannot_be_read_is_refused(tmp_path: Path, name: str, content: bytes | None) -> None:
    """Another extension, another encoding and a missing file each give a clear refusal."""
    from provost.server.services.inventory_files import read_inventory

    if content is not None:
        (tmp_path / name).write_bytes(content)
    with pytest.raises(Refused, match=name) as caught:
        read_inventory(tmp_path / name)
    assert caught.value.code == "import_refused"


@pytest.mark.parametrize("text", ["", "# nothing\n", "assets:\naccounts:\nnodes:\n"])
def test_empty_file_brings_in_nothing(tmp_path: Path, text: str) -> None:
    """A file without anything in it is fine."""
    assert bring_in(tmp_path, text)["secrets"] == {"set": 0, "kept": 0}


def test_the_kind_of_an_asset_stays(tmp_path: Path) -> None:
    """An import makes no other kind of an asset that is there: its list would tell of another system."""
    from provost.server.models import Asset

    bring_in(tmp_path, "assets: [{name: web1, kind: linux, address: 10.0.0.1}]")
    with pytest.raises(Refused, match="is of kind linux, and stays so"):
        bring_in(tmp_path, "assets: [{name: web1, kind: memory}]")
    assert Asset.objects.get().kind == "linux"

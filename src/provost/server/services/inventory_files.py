"""Files of assets, nodes and accounts, read into rows that know their lines. docs/inventory.md has the form."""

import csv
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Final

import yaml

from provost.core.errors import Refused
from provost.core.model import Become

_SHOWN: Final = 20
_NULL: Final = "tag:yaml.org,2002:null"
_PLAIN: Final = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "float", "bool", "timestamp"))


@dataclass(slots=True)
class Row:
    """One asset, account or node: what it says, by field, and where (`label`, if not in a line of a file)."""

    line: int
    fields: dict[str, Any]
    label: str = ""

    @property
    def place(self) -> str:
        """What people call the place that it stands in."""
        return self.label or f"line {self.line}"


@dataclass(slots=True)
class Inventory:
    """What a file holds, and what is wrong with it: (line, sentence)."""

    nodes: list[Row] = field(default_factory=list)
    assets: list[Row] = field(default_factory=list)
    accounts: list[Row] = field(default_factory=list)
    errors: list[tuple[int, str]] = field(default_factory=list)


class ImportRefused(Refused):
    """What is wrong with an inventory: `faults` are (place, sentence)."""

    code = "import_refused"

    def __init__(self, name: str, faults: Sequence[tuple[str, str]]) -> None:
        lines = [f"{place}: {text}" for place, text in faults[:_SHOWN]]
        if more := len(faults) - len(lines):
            lines.append(f"and {more} more.")
        super().__init__("\n".join([f"Nothing was brought in: {name} has {len(faults)} errors.", *lines]))
        self.faults = tuple(faults)


def read_inventory(path: Path) -> Inventory:
    """Read a YAML or CSV file, by its extension.

    Raises:
        Refused: the file cannot be read, or has another extension.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise Refused(f"{path} cannot be read: {error.strerror}.", code="import_refused") from None
    found = _read_content(content, str(path))
    _read_key_files(found, path.parent)
    return found


def read_upload(content: bytes, name: str) -> Inventory:
    """Read what somebody sends, YAML or CSV by the name that it has. No other file is looked at.

    Raises:
        Refused: it is not text, or has another extension.
    """
    found = _read_content(content, name)
    for row in found.accounts:
        if row.fields.pop("key_file", None):
            text = "a file beside this one cannot be seen from here: write the key itself, as key."
            found.errors.append((row.line, text))
    return found


def _read_content(content: bytes, name: str) -> Inventory:
    readers = {".yaml": _read_yaml, ".yml": _read_yaml, ".csv": _read_csv}
    try:
        read = readers[Path(name).suffix.lower()]
    except KeyError:
        raise Refused(
            f"{name} is neither YAML nor CSV by its name: .yaml, .yml or .csv.", code="import_refused"
        ) from None
    try:
        return read(content.decode("utf-8-sig"))
    except UnicodeDecodeError:
        raise Refused(f"{name} is not UTF-8.", code="import_refused") from None


def _read_key_files(found: Inventory, folder: Path) -> None:
    """Put in the place of every `key_file`, named relative to `folder`, the key that it holds."""

    @cache
    def read(name: str) -> str:
        try:
            return (folder / name).read_text(encoding="utf-8")
        except OSError as error:
            raise Refused(f"the key file {folder / name} cannot be read: {error.strerror}.") from None
        except UnicodeDecodeError:
            raise Refused(f"the key file {folder / name} does not hold text.") from None

    for row in found.accounts:
        if name := row.fields.pop("key_file", None):
            try:
                row.fields["key"] = read(name)
            except Refused as error:
                found.errors.append((row.line, error.message))


def _read_port(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise Refused("port is not a number.") from None


def _read_priority(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise Refused("priority is not a number.") from None


def _read_bool(text: str) -> bool:
    if text.lower() not in {"yes", "true", "1", "no", "false", "0"}:
        raise Refused(f"{text!r} is neither yes nor no.")
    return text.lower() in {"yes", "true", "1"}


def _read_become(text: str) -> Become:
    try:
        return Become(text)
    except ValueError:
        raise Refused(f"become is one of {', '.join(Become)}, not {text!r}.") from None


_SCALARS: Final[dict[str, dict[str, Callable[[str], Any]]]] = {
    "asset": {"name": str, "kind": str, "address": str, "port": _read_port, "via": str, "comment": str},
    "account": {
        "username": str,
        "asset": str,
        "privileged": _read_bool,
        "priority": _read_priority,
        "become": _read_become,
        "password": str,
        "key": str,
        "key_file": str,
        "replace": _read_bool,
    },
}
_KNOWN: Final = {"asset": [*_SCALARS["asset"], "nodes", "options"], "account": [*_SCALARS["account"]]}


class _Wrong(Exception):  # never leaves this module
    def __init__(self, mark: yaml.Mark, text: str) -> None:
        super().__init__(text)
        self.line = mark.line + 1


def _read_yaml(text: str) -> Inventory:
    found = Inventory()
    try:
        document = yaml.compose(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except yaml.MarkedYAMLError as error:
        # The problem's own text may quote the file, and so a secret; its kind and its place are enough.
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        found.errors.append((line, "this is not YAML from here on; quote a value that begins with a symbol."))
        return found
    except yaml.YAMLError:
        found.errors.append((1, "this is not YAML."))
        return found
    if document is None:
        return found
    try:
        for name, part in _list_pairs(document, ["nodes", "assets", "accounts"]):
            if name == "nodes":
                found.nodes = [Row(mark.line + 1, {"path": path}) for mark, path in _list_texts(part)]
            else:
                rows = found.assets if name == "assets" else found.accounts
                for item in _list_items(part):
                    _collect(found, rows, item, name.removesuffix("s"))
    except _Wrong as wrong:
        found.errors.append((wrong.line, str(wrong)))
    return found


def _collect(found: Inventory, rows: list[Row], item: yaml.Node, what: str) -> None:
    fields: dict[str, Any] = {}
    try:
        pairs = list(_list_pairs(item, _KNOWN[what]))
    except _Wrong as wrong:
        found.errors.append((wrong.line, str(wrong)))
        return
    for name, node in pairs:
        try:
            if name == "nodes":
                fields[name] = tuple(path for _, path in _list_texts(node))
            elif name == "options":
                fields[name] = {key: _read_text(value) or "" for key, value in _list_pairs(node, None)}
            elif (text := _read_text(node)) is not None:
                fields[name] = _SCALARS[what][name](text)
        except Refused as refused:
            found.errors.append((node.start_mark.line + 1, refused.message))
        except _Wrong as wrong:
            found.errors.append((wrong.line, str(wrong)))
    rows.append(Row(item.start_mark.line + 1, fields))


def _list_pairs(node: yaml.Node, known: list[str] | None) -> Iterator[tuple[str, yaml.Node]]:
    if not isinstance(node, yaml.MappingNode):
        raise _Wrong(node.start_mark, f"here belong fields: {', '.join(known) if known else 'name: value'}.")
    seen = set()
    for key, value in node.value:
        name = _read_text(key) or ""
        if name in seen:
            raise _Wrong(key.start_mark, f"the field {name!r} is here twice.")
        if known is not None and name not in known:
            raise _Wrong(key.start_mark, f"there is no field {name!r}; known are {', '.join(known)}.")
        seen.add(name)
        yield name, value


def _list_items(node: yaml.Node) -> list[yaml.Node]:
    if isinstance(node, yaml.ScalarNode) and node.tag == _NULL:
        return []
    if not isinstance(node, yaml.SequenceNode):
        raise _Wrong(node.start_mark, "here belongs a list, each item after a dash.")
    return list(node.value)


def _list_texts(node: yaml.Node) -> list[tuple[yaml.Mark, str]]:
    return [(item.start_mark, _read_text(item) or "") for item in _list_items(node)]


def _read_text(node: yaml.Node) -> str | None:
    """Return a scalar exactly as it is written: a password 0123 or yes is no number and no truth."""
    if not isinstance(node, yaml.ScalarNode) or node.tag not in _PLAIN | {_NULL}:
        raise _Wrong(node.start_mark, "here belongs one value.")
    return None if node.tag == _NULL else str(node.value)


def _read_csv(text: str) -> Inventory:
    found = Inventory()
    reader = csv.reader(text.splitlines(keepends=True), strict=True)
    try:
        header = [name.strip() for name in next(reader, [])]
        what = "account" if "username" in header else "asset"
        if unknown := [name for name in header if name not in _KNOWN[what]]:
            known = ", ".join(_KNOWN[what])
            found.errors.append((1, f"there is no column {unknown[0]!r} for {what}s; known are {known}."))
            return found
        if len(set(header)) < len(header):
            found.errors.append((1, "a column is here twice."))
            return found
        end = reader.line_num
        for cells in reader:
            begin, end = end + 1, reader.line_num
            if any(cells):
                _collect_cells(found, begin, what, header, cells)
    except csv.Error as error:
        found.errors.append((reader.line_num, f"this is not CSV: {error}."))
    return found


def _collect_cells(found: Inventory, line: int, what: str, header: list[str], cells: list[str]) -> None:
    if len(cells) != len(header):
        found.errors.append((line, f"{len(cells)} cells, where the first line names {len(header)} columns."))
        return
    fields: dict[str, Any] = {}
    for name, text in zip(header, cells, strict=True):
        try:
            if name == "nodes":
                fields[name] = tuple(path.strip() for path in text.split(";") if path.strip())
            elif name == "options":
                fields[name] = _split_options(text)
            elif text:
                fields[name] = _SCALARS[what][name](text)
        except Refused as refused:
            found.errors.append((line, refused.message))
    (found.assets if what == "asset" else found.accounts).append(Row(line, fields))


def _split_options(text: str) -> dict[str, str]:
    options = {}
    for pair in filter(None, (part.strip() for part in text.split(";"))):
        name, equals, value = pair.partition("=")
        if not equals:
            raise Refused("options are name=value, separated by semicolons.")
        options[name] = value
    return options

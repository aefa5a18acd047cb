"""Assets, nodes, and inventories to bring in."""

from pydantic import Field, SecretStr

from provost.core.model import Become
from provost.core.requests.base import Flag, Many, Name, PageQuery, Said, Text


class AssetBody(Said):
    """A new asset. Without a `port`, it has the kind's own."""

    name: Name
    kind: Name
    address: Name
    port: int | None = Field(None, strict=True, ge=1, le=65535)
    nodes: tuple[Text, ...] = Many
    via: Name | None = None
    options: dict[str, str] = Field(default_factory=dict)
    comment: Text = ""


class AssetPatch(Said):
    """What is to change of an asset; what is not given stays. `via` of null: reached directly."""

    name: Name | None = None
    address: Name | None = None
    port: int | None = Field(None, strict=True, ge=1, le=65535)
    nodes: tuple[Text, ...] | None = None
    via: Name | None = None
    options: dict[str, str] | None = None
    comment: Text | None = None


class AssetQuery(PageQuery):
    """Which assets; `node`: in it and below, `search`: a part of the name, address or comment.

    With `unprivileged`, those that have no privileged account: nothing can be done on them.
    """

    node: Text | None = None
    kind: Name | None = None
    via: Name | None = None
    search: Name | None = None
    unprivileged: bool = False


class NodeBody(Said):
    """A new node, with those above it."""

    path: Text


class NodePatch(Said):
    """Another name for a node, or another place: `into` is the node that it moves into, "/" the top."""

    name: Name | None = None
    into: Text | None = None


class TargetsBody(Said):
    """Assets by name, and nodes with all below them."""

    assets: tuple[Name, ...] = Many
    nodes: tuple[Text, ...] = Many


class ImportedAccount(Said):
    """An account of an inventory; what is not given stays as it is, or is as usual for a new one."""

    username: Name
    asset: Name
    password: SecretStr | None = Field(None, max_length=4096)
    key: SecretStr | None = Field(None, max_length=65536)
    privileged: Flag | None = None
    priority: int | None = Field(None, strict=True, ge=-(2**31), le=2**31 - 1)
    become: Become | None = None
    replace: Flag | None = None


class ImportedAsset(Said):
    """An asset of an inventory; of one that is there already, what is not given stays."""

    name: Name
    kind: Name | None = None
    address: Name | None = None
    port: int | None = Field(None, strict=True, ge=1, le=65535)
    nodes: tuple[Text, ...] | None = None
    via: Name | None = None
    options: dict[str, str] | None = None
    comment: Text | None = None


class ImportBody(Said):
    """An inventory: all of it is brought in, or nothing; with `dry_run`, nothing, and told as if it were."""

    nodes: tuple[Text, ...] = Many
    assets: tuple[ImportedAsset, ...] = Many
    accounts: tuple[ImportedAccount, ...] = Many
    name: Name = "inventory"
    dry_run: Flag = False

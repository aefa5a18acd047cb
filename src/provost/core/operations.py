"""Everything that can be asked of Provost, in one table: the API's routes, and what the command line calls.

An operation is a function of that name in `provost.server.api.ROOM`.  It is given `by`, the caller; the parts
of its path by name; a `query` or a `body` where it takes one; and with `version`, the version of the thing that
the caller saw (the API's If-Match).
"""

from dataclasses import dataclass
from typing import Final, Generic, TypeVar

from provost.core import documents as told

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """One thing that can be asked: its function, its route, and what it answers (None: nothing).

    `public`: by anybody, without a token.
    """

    room: str
    name: str
    method: str
    path: str
    result: type[T]
    status: int = 200
    public: bool = False


_made: list[Operation[object]] = []


def _operation(  # noqa: PLR0913  # a row has as many columns
    room: str, name: str, route: str, result: type[T], status: int = 200, *, public: bool = False
) -> Operation[T]:
    method, path = route.split()
    made = Operation(room, name, method, path, result, status, public)
    _made.append(made)  # type: ignore[arg-type]  # whatever it answers
    return made


_Page = told.PageDocument

WHO: Final = _operation("who", "tell_who", "GET /whoami", told.WhoDocument)
SETUP: Final = _operation("who", "set_up", "POST /setup", told.NewTokenDocument, 201, public=True)

LIST_KINDS: Final = _operation("kinds", "list_kinds", "GET /kinds", list[told.KindDocument])

LIST_NODES: Final = _operation("nodes", "list_nodes", "GET /nodes", list[told.NodeDocument])
ADD_NODE: Final = _operation("nodes", "add_node", "POST /nodes", told.NodeDocument, 201)
EDIT_NODE: Final = _operation("nodes", "edit_node", "PATCH /nodes/{path:node}", told.NodeDocument)
REMOVE_NODE: Final = _operation("nodes", "remove_node", "DELETE /nodes/{path:node}", type(None), 204)

LIST_ASSETS: Final = _operation("assets", "list_assets", "GET /assets", _Page[told.AssetDocument])
ADD_ASSET: Final = _operation("assets", "add_asset", "POST /assets", told.AssetDocument, 201)
SHOW_ASSET: Final = _operation("assets", "show_asset", "GET /assets/{name}", told.AssetDetailDocument)
EDIT_ASSET: Final = _operation("assets", "edit_asset", "PATCH /assets/{name}", told.AssetDocument)
REMOVE_ASSET: Final = _operation("assets", "remove_asset", "DELETE /assets/{name}", type(None), 204)
TRUST_ASSET: Final = _operation("assets", "trust_asset", "POST /assets/{name}/trust", told.TrustDocument)
IMPORT: Final = _operation("imports", "import_inventory", "POST /import", told.ImportDocument)

COUNT_TARGETS: Final = _operation("targets", "count_targets", "POST /targets/count", told.TargetsDocument)
SAMPLE_PASSWORD: Final = _operation(
    "passwords", "sample_password", "POST /passwords/sample", told.SampleDocument
)

LIST_ACCOUNTS: Final = _operation("accounts", "list_accounts", "GET /accounts", _Page[told.AccountDocument])
ADD_ACCOUNT: Final = _operation("accounts", "add_account", "POST /accounts", told.AccountDocument, 201)
LIST_HISTORY: Final = _operation(
    "accounts", "list_history", "GET /accounts/{path:account}/history", told.HistoryDocument
)
LIST_ACTIVITY: Final = _operation(
    "accounts", "list_activity", "GET /accounts/{path:account}/activity", _Page[told.ActivityDocument]
)
REVEAL: Final = _operation("accounts", "reveal", "POST /accounts/{path:account}/reveal", told.RevealedDocument)
SHOW_ACCOUNT: Final = _operation(
    "accounts", "show_account", "GET /accounts/{path:account}", told.AccountDetailDocument
)
EDIT_ACCOUNT: Final = _operation(
    "accounts", "edit_account", "PATCH /accounts/{path:account}", told.AccountDocument
)
REMOVE_ACCOUNT: Final = _operation(
    "accounts", "remove_account", "DELETE /accounts/{path:account}", type(None), 204
)

LIST_PAIRS: Final = _operation("pairs", "list_pairs", "GET /pairs", _Page[told.PairDocument])
ADD_PAIR: Final = _operation("pairs", "add_pair", "POST /pairs", told.PairDocument, 201)
SHOW_PAIR: Final = _operation("pairs", "show_pair", "GET /pairs/{name}", told.PairDocument)
REMOVE_PAIR: Final = _operation("pairs", "remove_pair", "DELETE /pairs/{name}", type(None), 204)
ROTATE_PAIR: Final = _operation(
    "pairs", "rotate_pair", "POST /pairs/{name}/rotate", told.RunDetailDocument, 202
)

LIST_RUNS: Final = _operation("runs", "list_runs", "GET /runs", _Page[told.RunDocument])
PUSH: Final = _operation("runs", "push", "POST /runs", told.RunDetailDocument, 202)
SHOW_RUN: Final = _operation("runs", "show_run", "GET /runs/{run}", told.RunDetailDocument)
LIST_RECORDS: Final = _operation("runs", "list_records", "GET /runs/{run}/records", _Page[told.RecordDocument])
COUNT_RECORDS: Final = _operation(
    "runs", "count_records", "GET /runs/{run}/counts", list[told.RecordCountDocument]
)
LIST_REASONS: Final = _operation("runs", "list_reasons", "GET /runs/{run}/reasons", list[told.ReasonDocument])
RETRY_RUN: Final = _operation("runs", "retry_run", "POST /runs/{run}/retry", told.RunDetailDocument, 202)
CANCEL_RUN: Final = _operation("runs", "cancel_run", "POST /runs/{run}/cancel", told.RunDetailDocument)

LIST_FOUND: Final = _operation("found", "list_found", "GET /found", _Page[told.FoundDocument])
COUNT_FOUND: Final = _operation("found", "count_found", "GET /found/counts", told.StandingCountsDocument)
ACCEPT_FOUND: Final = _operation("found", "accept", "POST /found/accept", told.NamedDocument)
IGNORE_FOUND: Final = _operation("found", "ignore", "POST /found/ignore", told.NamedDocument)
FORGET_FOUND: Final = _operation("found", "forget", "POST /found/forget", told.NamedDocument)
ENLIST_FOUND: Final = _operation("found", "enlist", "POST /found/enlist", told.NamedDocument)
ADOPT_FOUND: Final = _operation("found", "adopt", "POST /found/adopt", told.RunDetailDocument, 202)
SHOW_FOUND: Final = _operation("found", "show_found", "GET /found/{path:account}", told.FoundDetailDocument)

LIST_RULES: Final = _operation("rules", "list_rules", "GET /rules", list[told.RuleDocument])
ADD_RULE: Final = _operation("rules", "add_rule", "POST /rules", told.RuleDocument, 201)
SHOW_RULE: Final = _operation("rules", "show_rule", "GET /rules/{name}", told.RuleDocument)
EDIT_RULE: Final = _operation("rules", "edit_rule", "PATCH /rules/{name}", told.RuleDocument)
REMOVE_RULE: Final = _operation("rules", "remove_rule", "DELETE /rules/{name}", type(None), 204)
PREVIEW_RULE: Final = _operation("rules", "preview_rule", "POST /onboarding/preview", told.RulePreviewDocument)

LIST_TASKS: Final = _operation("tasks", "list_tasks", "GET /tasks", _Page[told.TaskDocument])
CREATE_TASK: Final = _operation("tasks", "create_task", "POST /tasks", told.TaskDetailDocument, 201)
SHOW_TASK: Final = _operation("tasks", "show_task", "GET /tasks/{name}", told.TaskDetailDocument)
EDIT_TASK: Final = _operation("tasks", "edit_task", "PATCH /tasks/{name}", told.TaskDetailDocument)
DELETE_TASK: Final = _operation("tasks", "delete_task", "DELETE /tasks/{name}", type(None), 204)
RUN_TASK: Final = _operation("tasks", "run_task", "POST /tasks/{name}/run", told.RunDetailDocument, 202)
LIST_TIMES: Final = _operation("tasks", "list_times", "POST /schedules/times", told.TimesDocument)

LIST_USERS: Final = _operation("users", "list_users", "GET /users", list[told.UserDocument])
ADD_USER: Final = _operation("users", "add_user", "POST /users", told.UserDocument, 201)
SHOW_USER: Final = _operation("users", "show_user", "GET /users/{name}", told.UserDocument)
EDIT_USER: Final = _operation("users", "edit_user", "PATCH /users/{name}", told.UserDocument)
REMOVE_USER: Final = _operation("users", "remove_user", "DELETE /users/{name}", type(None), 204)
REMOVE_FACTORS: Final = _operation("users", "remove_factors", "DELETE /users/{name}/factors", type(None), 204)
LIST_SESSIONS: Final = _operation(
    "users", "list_sessions", "GET /users/{name}/sessions", list[told.SessionDocument]
)
END_SESSIONS: Final = _operation("users", "end_sessions", "DELETE /users/{name}/sessions", type(None), 204)
END_SESSION: Final = _operation(
    "users", "end_session", "DELETE /users/{name}/sessions/{session}", type(None), 204
)
LIST_TOKENS: Final = _operation("tokens", "list_tokens", "GET /tokens", list[told.TokenDocument])
CREATE_TOKEN: Final = _operation("tokens", "create_token", "POST /tokens", told.NewTokenDocument, 201)
REVOKE_TOKEN: Final = _operation("tokens", "revoke_token", "DELETE /tokens/{user}/{name}", type(None), 204)

LIST_CHANNELS: Final = _operation("channels", "list_channels", "GET /channels", list[told.ChannelDocument])
ADD_CHANNEL: Final = _operation("channels", "add_channel", "POST /channels", told.NewChannelDocument, 201)
SHOW_CHANNEL: Final = _operation("channels", "show_channel", "GET /channels/{name}", told.ChannelDocument)
EDIT_CHANNEL: Final = _operation("channels", "edit_channel", "PATCH /channels/{name}", told.ChannelDocument)
REMOVE_CHANNEL: Final = _operation("channels", "remove_channel", "DELETE /channels/{name}", type(None), 204)
TEST_CHANNEL: Final = _operation(
    "channels", "test_channel", "POST /channels/{name}/test", told.DeliveryDocument, 202
)
LIST_DELIVERIES: Final = _operation(
    "channels", "list_deliveries", "GET /channels/{name}/deliveries", _Page[told.DeliveryDocument]
)
SHOW_DELIVERY: Final = _operation(
    "channels", "show_delivery", "GET /channels/{name}/deliveries/{delivery}", told.DeliveryDocument
)
SEND_AGAIN: Final = _operation(
    "channels", "send_again", "POST /channels/{name}/deliveries/{delivery}/send", told.DeliveryDocument, 202
)

OVERVIEW: Final = _operation("overview", "show_overview", "GET /overview", told.OverviewDocument)

LIST_AUDIT: Final = _operation("audit", "list_entries", "GET /audit", _Page[told.AuditDocument])
VERIFY_AUDIT: Final = _operation("audit", "verify", "GET /audit/proof", told.ProofDocument)
SHOW_SETTINGS: Final = _operation("settings", "show_settings", "GET /settings", told.SettingsDocument)
LIST_FINDINGS: Final = _operation(
    "settings", "list_findings", "GET /settings/findings", list[told.FindingDocument]
)
ROTATE_KEYS: Final = _operation("keys", "rotate", "POST /keys/rotate", told.RotationDocument)

OPERATIONS: Final = tuple(_made)

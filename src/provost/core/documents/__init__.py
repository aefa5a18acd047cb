"""What Provost tells of things: the JSON of the API and of `--json`. A public contract, and never a secret.

`version` counts the changes of a thing: who changes it can say which one was seen.
"""

from provost.core.documents.accounts import (
    AccountDetailDocument,
    AccountDocument,
    HistoryDocument,
    RevealedDocument,
    SecretDocument,
)
from provost.core.documents.base import Document, PageDocument, ProblemDocument
from provost.core.documents.channels import ChannelDocument, DeliveryDocument, NewChannelDocument
from provost.core.documents.inventory import (
    AssetDetailDocument,
    AssetDocument,
    HostKeyDocument,
    ImportChangesDocument,
    ImportDocument,
    KindDocument,
    NodeDocument,
    PrivilegedDocument,
    SampleDocument,
    TargetsDocument,
    TrustDocument,
)
from provost.core.documents.overview import (
    AccountCountsDocument,
    AgeDocument,
    DayDocument,
    DueDocument,
    FailureDocument,
    OverviewDocument,
    StepsDocument,
    WantingDocument,
)
from provost.core.documents.runs import (
    ActivityDocument,
    ReasonDocument,
    RecordCountDocument,
    RecordDocument,
    RunDetailDocument,
    RunDocument,
)
from provost.core.documents.server import (
    AuditDocument,
    FindingDocument,
    ProofDocument,
    RotationDocument,
    SettingDocument,
    SettingsDocument,
    VaultDocument,
)
from provost.core.documents.tasks import ScheduleDocument, TaskDetailDocument, TaskDocument, TimesDocument
from provost.core.documents.users import (
    GrantDocument,
    NewTokenDocument,
    SessionDocument,
    TokenDocument,
    UserDocument,
    WhoDocument,
)

__all__ = [
    "AccountCountsDocument",
    "AccountDetailDocument",
    "AccountDocument",
    "ActivityDocument",
    "AgeDocument",
    "AssetDetailDocument",
    "AssetDocument",
    "AuditDocument",
    "ChannelDocument",
    "DayDocument",
    "DeliveryDocument",
    "Document",
    "DueDocument",
    "FailureDocument",
    "FindingDocument",
    "GrantDocument",
    "HistoryDocument",
    "HostKeyDocument",
    "ImportChangesDocument",
    "ImportDocument",
    "KindDocument",
    "NewChannelDocument",
    "NewTokenDocument",
    "NodeDocument",
    "OverviewDocument",
    "PageDocument",
    "PrivilegedDocument",
    "ProblemDocument",
    "ProofDocument",
    "ReasonDocument",
    "RecordCountDocument",
    "RecordDocument",
    "RevealedDocument",
    "RotationDocument",
    "RunDetailDocument",
    "RunDocument",
    "SampleDocument",
    "ScheduleDocument",
    "SecretDocument",
    "SessionDocument",
    "SettingDocument",
    "SettingsDocument",
    "StepsDocument",
    "TargetsDocument",
    "TaskDetailDocument",
    "TaskDocument",
    "TimesDocument",
    "TokenDocument",
    "TrustDocument",
    "UserDocument",
    "VaultDocument",
    "WantingDocument",
    "WhoDocument",
]

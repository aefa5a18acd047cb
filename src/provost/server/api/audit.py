from provost.core.documents import AuditDocument, PageDocument, ProofDocument
from provost.core.errors import Refused
from provost.core.requests import AuditQuery, ProofQuery
from provost.core.rights import Principal
from provost.server.api.describe import describe_entry
from provost.server.api.paging import each, make_page, read_page
from provost.server.services import audit


def list_entries(by: Principal, query: AuditQuery) -> PageDocument[AuditDocument]:
    """List the entries of the audit trail, the newest first."""
    filters = audit.AuditFilter(query.who, query.action, query.subject, query.since, query.until)
    return make_page(audit.list_entries(by=by, filters=filters, page=read_page(query)), each(describe_entry))


def verify(by: Principal, query: ProofQuery) -> ProofDocument:
    """Prove the audit trail whole, or name the first entry that is not as it was written."""
    if (query.number is None) != (query.digest is None):
        raise Refused("Give the number and the digest of the entry that was noted.", code="usage")
    expected = None if query.number is None or query.digest is None else (query.number, query.digest)
    proof = audit.prove(by=by, expected=expected)
    return ProofDocument(
        whole=proof.broken is None,
        entries=proof.entries,
        digest=proof.digest,
        broken=proof.broken,
        why=proof.why,
    )

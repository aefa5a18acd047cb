"""The same request again is answered with the same run: a client that lost an answer may ask once more.

After the header field Idempotency-Key (draft-ietf-httpapi-idempotency-key-header).
"""

import hmac
from collections.abc import Callable

from django.db import transaction

from provost.core.errors import Conflict, Refused
from provost.core.rights import Principal
from provost.core.secrets import Secret, SshKey, list_sensitive_texts
from provost.server.models import IdempotencyKey, Run, User
from provost.server.services import held
from provost.server.services.runs import find_run

_LONGEST = 255


def once(
    *,
    by: Principal,
    key: str | None,
    asked: str,
    secret: Secret | None,
    begin: Callable[[Secret | None], Run],
) -> Run:
    """Return the run that `begin` makes, or the one that it made when this key was first used by this user.

    Raises:
        Refused: `idempotency_key_refused`, the key is empty or too long.
        Conflict: `idempotency_key_reused`, it was used for something else.
        NotFound: the caller does not see that run any more.
        ProvostError: what `begin` raises; the key is then free again.
    """
    if key is None or by.user_id is None:
        return begin(secret)
    if not 1 <= len(key) <= _LONGEST or not key.isprintable():
        raise Refused(f"An idempotency key has 1 to {_LONGEST} characters.", code="idempotency_key_refused")
    said = "\0".join([asked, *_list_texts(secret)])
    fingerprint = hmac.digest(held.read_audit_key(), f"request {said}".encode(), "sha256").hex()
    with transaction.atomic():
        # Two at once: the second sees what the first made.
        User.objects.select_for_update(no_key=True).get(id=by.user_id)
        known = IdempotencyKey.objects.filter(user_id=by.user_id, key=key).first()
        if known is None:
            run = begin(secret)
            IdempotencyKey.objects.create(user_id=by.user_id, key=key, fingerprint=fingerprint, run=run)
            return run
    if not hmac.compare_digest(known.fingerprint, fingerprint):
        raise Conflict(
            "This idempotency key was used for another request: choose a new one.",
            code="idempotency_key_reused",
        )
    return find_run(by=by, run_id=str(known.run_id))


def _list_texts(secret: Secret | None) -> list[str]:
    if secret is None:
        return []
    return [secret.public if isinstance(secret, SshKey) else "", *list_sensitive_texts(secret)]

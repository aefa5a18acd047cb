from provost.core.documents import SampleDocument
from provost.core.requests import SampleBody
from provost.core.rights import Principal
from provost.vault.passwords import generate_password


def sample_password(by: Principal, body: SampleBody) -> SampleDocument:
    """Make a password by rules, to see what they come to. It is not kept, and nothing is set to it."""
    del by  # whoever may come in may ask this
    return SampleDocument(sample=generate_password(body.rules).text)

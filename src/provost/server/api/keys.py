from provost.core.documents import RotationDocument
from provost.core.requests import KeyRotationBody
from provost.core.rights import Principal
from provost.server.services.rotation import rotate_keys


def rotate(by: Principal, body: KeyRotationBody) -> RotationDocument:
    """Make a new data key and encrypt every secret anew. Nothing stops meanwhile."""
    done = rotate_keys(by=by, master=body.master)
    return RotationDocument(secrets=done.secrets, data_key=done.data_key, master_key=done.master_key)

from provost.core.errors import Refused


def split_account(text: str) -> tuple[str, str]:
    """Split USERNAME@ASSET at its last @: a username may have one, an asset's name has none.

    Raises:
        Refused: it has no such form.
    """
    username, _, asset = text.rpartition("@")
    if not username or not asset:
        raise Refused(f"{text!r} names no account: write USERNAME@ASSET.", code="usage")
    return username, asset

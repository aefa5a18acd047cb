"""Pictures that telephones read, as SVG in the page: its policy lets no style in, and no picture is stored."""

from typing import Any, Final

from django import template
from django.utils.html import format_html
from django.utils.safestring import SafeString
from qrcode.main import QRCode

register: Final = template.Library()


@register.simple_tag
def qr(text: str) -> SafeString:
    """Return a text as a QR code, dark on light in either theme."""
    code: Any = QRCode()
    code.add_data(text)
    rows = code.get_matrix()
    path = "".join(f"M{x} {y}h1v1h-1z" for y, row in enumerate(rows) for x, dark in enumerate(row) if dark)
    return format_html(
        '<svg viewBox="0 0 {0} {0}" width="220" height="220" aria-hidden="true" shape-rendering="crispEdges">'
        '<rect width="{0}" height="{0}" fill="#fff"/><path d="{1}" fill="#000"/></svg>',
        len(rows),
        path,
    )

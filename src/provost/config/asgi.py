"""The server as an ASGI application: Django behind the gate."""

import os
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from asgiref.typing import ASGI3Application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "provost.config.serving")

from django.core.asgi import get_asgi_application

from provost.config.settings import BODY_LIMIT, ENVIRONMENT
from provost.server.web.gate import Gate

application = Gate(
    cast("ASGI3Application", get_asgi_application()),
    trusted=ENVIRONMENT.trusted_proxies,
    body_limit=BODY_LIMIT,
)

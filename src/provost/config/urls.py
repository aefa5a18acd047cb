from importlib import import_module
from importlib.util import find_spec

from django.urls import URLPattern, URLResolver, path

from provost.server.web.probes import show_alive, show_metrics, show_ready

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", show_alive),
    path("readyz", show_ready),
    path("metrics", show_metrics),
]
if find_spec("provost.server.api"):
    urlpatterns.append(path("api/v1/", import_module("provost.server.api").api.urls))

handler400 = "provost.server.web.faults.tell_bad_request"
handler403 = "provost.server.web.faults.tell_forbidden"
handler404 = "provost.server.web.faults.tell_not_found"
handler500 = "provost.server.web.faults.tell_fault"

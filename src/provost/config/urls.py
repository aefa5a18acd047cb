from django.urls import URLPattern, URLResolver, include, path

from provost.server.api.routes import api
from provost.server.web.probes import show_alive, show_metrics, show_ready

urlpatterns: list[URLPattern | URLResolver] = [
    path("healthz", show_alive),
    path("readyz", show_ready),
    path("metrics", show_metrics),
    path("api/v1/", api.urls),
    path("sign-in/", include("provost.server.console.sign_in")),
    path("", include("provost.server.console.urls")),
]

handler400 = "provost.server.web.faults.tell_bad_request"
handler403 = "provost.server.web.faults.tell_forbidden"
handler404 = "provost.server.web.faults.tell_not_found"
handler429 = "provost.server.console.faults.tell_too_many"  # django-allauth's
handler500 = "provost.server.web.faults.tell_fault"

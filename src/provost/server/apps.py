from django.apps import AppConfig


class ServerConfig(AppConfig):
    """The one Django app."""

    name = "provost.server"
    label = "server"

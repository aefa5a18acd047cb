import os
from pathlib import Path
from typing import Annotated

import typer


def serve(
    *,
    host: Annotated[str | None, typer.Option(help="The address to listen on. [PROVOST_HOST]")] = None,
    port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="The port; 0 takes a free one. [PROVOST_PORT]")
    ] = None,
    tls_cert: Annotated[
        Path | None, typer.Option(metavar="FILE", help="A certificate chain, PEM. [PROVOST_TLS_CERT_FILE]")
    ] = None,
    tls_key: Annotated[
        Path | None, typer.Option(metavar="FILE", help="Its private key, PEM. [PROVOST_TLS_KEY_FILE]")
    ] = None,
    log_json: Annotated[
        bool, typer.Option("--log-json", help="Write the log as JSON. [PROVOST_LOG_FORMAT=json]")
    ] = False,
) -> None:
    """Serve the API and work runs off, until SIGTERM or Ctrl-C. Makes what is not there yet, as init does."""
    os.umask(0o077)
    given = {
        "PROVOST_HOST": host,
        "PROVOST_PORT": port,
        "PROVOST_TLS_CERT_FILE": tls_cert,
        "PROVOST_TLS_KEY_FILE": tls_key,
        "PROVOST_LOG_FORMAT": "json" if log_json else None,
    }
    # An option is a setting like any other: all that reads settings sees it.
    os.environ |= {name: str(value) for name, value in given.items() if value is not None}
    from provost.config.environment import read_environment
    from provost.config.listening import check_openness, load_tls, open_socket
    from provost.config.logs import configure_logs
    from provost.config.start import prepare

    environment = read_environment()
    tls = load_tls(environment)
    check_openness(environment)
    prepare(serving=True)
    configure_logs(form=environment.log_format, level=environment.log_level, debug=environment.debug)
    from provost.cli.serving import make_ready, run_server

    with open_socket(environment) as listener:
        make_ready()
        run_server(environment, tls, listener)

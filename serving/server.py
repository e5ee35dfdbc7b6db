"""`tocsin serve`: gunicorn, on a socket that is opened before it starts.

gunicorn itself tries for five seconds to listen, and does not name the variable to change.
"""

import errno
import importlib
import socket
import sys
from pathlib import Path

from gunicorn.app.wsgiapp import WSGIApplication

from config import Config, ConfigError

SETTINGS = Path(__file__).parents[1] / "gunicorn.conf.py"

_PROBLEMS = {
    errno.EADDRINUSE: "another program listens there; end it, or choose another port",
    errno.EADDRNOTAVAIL: "this machine does not have that address",
    errno.EACCES: "this user may not open that port; choose one from 1024 on",
    socket.EAI_NONAME: "that host name is unknown",
    socket.EAI_AGAIN: "the name server does not respond",
}


def serve(config: Config, *, with_worker: bool) -> None:
    """Serve the pages in this process until a signal ends it, then exit.

    Raises:
        ConfigError: the address cannot be listened on.
        SystemExit: always at the end; code 0 after SIGTERM or SIGINT, otherwise not 0.
    """
    listener = listen(config)
    # Web processes fork with everything imported; after SIGHUP they still run the same code.
    importlib.import_module("app")
    options = ["--config", str(SETTINGS), "--bind", f"fd://{listener.detach()}"]
    if not with_worker:
        options += ["--env", "TOCSIN_SENDERS=0"]
    sys.argv = ["tocsin", *options, "wsgi:app"]
    WSGIApplication("%(prog)s [OPTIONS] [APP_MODULE]", prog="tocsin").run()


def listen(config: Config) -> socket.socket:
    """Return a listening socket for TOCSIN_BIND; a host name is bound to IPv4.

    Raises:
        ConfigError: it cannot be opened.
    """
    is_ipv6 = ":" in config.host
    try:
        return socket.create_server(
            (config.host, config.port),
            family=socket.AF_INET6 if is_ipv6 else socket.AF_INET,
            dualstack_ipv6=is_ipv6 and config.host == "::" and socket.has_dualstack_ipv6(),
        )
    except OSError as error:
        problem = _PROBLEMS.get(error.errno or 0, error.strerror)
        message = f"TOCSIN_BIND: cannot listen on {config.bind}: {problem}"
        raise ConfigError(message) from error

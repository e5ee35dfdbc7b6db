"""`tocsin serve`: gunicorn, on a socket that is opened before it starts.

gunicorn itself tries for five seconds to listen, and does not name the variable to change. The
socket stays open when SIGUSR2 starts the program again, perhaps from a new file: clients wait then,
and none is refused.
"""

import errno
import importlib
import logging
import os
import socket
import subprocess
import sys
from pathlib import Path

from gunicorn.app.wsgiapp import WSGIApplication
from gunicorn.arbiter import Arbiter
from peewee import DatabaseError

import startup
from config import Config, ConfigError
from config.sockets import give_socket, take_socket

SETTINGS = Path(__file__).parents[1] / "gunicorn.conf.py"

_PROBLEMS = {
    errno.EADDRINUSE: "another program listens there; end it, or choose another port",
    errno.EADDRNOTAVAIL: "this machine does not have that address",
    errno.EACCES: "this user may not open that port; choose one from 1024 on",
    socket.EAI_NONAME: "that host name is unknown",
    socket.EAI_AGAIN: "the name server does not respond",
}

BACKLOG = 2048  # connections that wait during a restart
CHECK_SECONDS = 30  # for a new file to unpack itself

log = logging.getLogger("tocsin.server")


class Master(Arbiter):
    """gunicorn's first process, which SIGUSR2 starts again in its place."""

    kept: socket.socket | None = None  # for the program that starts in place of this one

    def reload(self):
        """Replace the web processes and their workers, if they could start."""
        try:
            startup.check_again(Config.from_env())
        except (ConfigError, DatabaseError) as error:
            log.error("no reload: %s", error)
            return
        super().reload()

    def reexec(self):
        """End the web processes and their workers, if the program can be started again."""
        if not _can_start():
            return
        self.kept = self.LISTENERS[0].dup()
        raise StopIteration  # gunicorn stops


class Server(WSGIApplication):
    """gunicorn with this configuration.

    It imports nothing from the folder that it was started in: others may be able to write there.
    """

    master: Master

    def chdir(self):
        """Change to the folder of gunicorn's `--chdir`."""
        os.chdir(self.cfg.chdir)

    def run(self):
        """Serve until a signal ends it, then exit."""
        self.master = Master(self)
        self.master.run()


def serve(config: Config, *, with_worker: bool) -> None:
    """Serve the pages in this process until a signal ends it, then exit.

    Raises:
        ConfigError: the address cannot be listened on.
        SystemExit: always at the end; code 0 after SIGTERM or SIGINT, otherwise not 0.
    """
    command = [*sys.orig_argv]
    listener = inherited(config) or listen(config)
    # Web processes fork with everything imported; after SIGHUP they still run the same code.
    importlib.import_module("app")
    options = ["--config", str(SETTINGS), "--bind", f"fd://{listener.detach()}"]
    if not with_worker:
        options += ["--env", "TOCSIN_SENDERS=0"]
    sys.argv = ["tocsin", *options, "wsgi:app"]
    server = Server("%(prog)s [OPTIONS] [APP_MODULE]", prog="tocsin")
    try:
        server.run()
    finally:
        if server.master.kept:
            give_socket(server.master.kept.fileno())
            os.execv(sys.executable, command)  # noqa: S606 (this program itself)


def _can_start() -> bool:
    """Return True if the program starts; a new file of it is unpacked then."""
    command = [*sys.orig_argv[: sys.orig_argv.index("serve")], "--version"]
    try:
        done = subprocess.run(  # noqa: S603 (this program itself)
            [sys.executable, *command[1:]], capture_output=True, text=True, timeout=CHECK_SECONDS
        )
    except subprocess.TimeoutExpired:
        log.error("no restart: the program does not start within %d s", CHECK_SECONDS)
        return False
    if done.returncode:
        log.error("no restart: the program does not start: %s", done.stderr.strip())
    return done.returncode == 0


def inherited(config: Config) -> socket.socket | None:
    """Return the listening socket that this process was given, if there is one.

    Raises:
        ConfigError: it has another address than TOCSIN_BIND, which links and the lab go by.
    """
    descriptor = take_socket()
    if descriptor is None:
        return None
    listener = socket.socket(fileno=descriptor)
    listener.set_inheritable(False)
    address = listener.getsockname()
    if address[1:2] != (config.port,):
        raise ConfigError(
            f"TOCSIN_BIND: it is {config.bind}, but the socket that this process was given listens "
            f"on {address}. Set both to the same port"
        )
    return listener


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
            backlog=BACKLOG,
            dualstack_ipv6=is_ipv6 and config.host == "::" and socket.has_dualstack_ipv6(),
        )
    except OSError as error:
        problem = _PROBLEMS.get(error.errno or 0, error.strerror)
        message = f"TOCSIN_BIND: cannot listen on {config.bind}: {problem}"
        raise ConfigError(message) from error

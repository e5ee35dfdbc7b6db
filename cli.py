"""The `tocsin` command."""

import argparse
import sys
from pathlib import Path

from gunicorn.app.wsgiapp import WSGIApplication

import storage
from config import VERSION, Config, ConfigError

HERE = Path(__file__).parent


def main(arguments: list[str] | None = None) -> int:
    """Runs a subcommand; the exit code. What cannot start says why in one line."""
    parser = argparse.ArgumentParser(prog="tocsin", description="Webhook notification channels that say what happened.")
    parser.add_argument("--version", action="version", version=f"tocsin {VERSION}")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="serve the pages until it is stopped")
    parser.parse_args(arguments)
    try:
        return serve()
    except (ConfigError, storage.StorageError) as error:
        print(f"tocsin: {error}", file=sys.stderr)
        return 2


def serve() -> int:
    """Prepares keys and database, and becomes gunicorn."""
    storage.prepare(Config.from_env().with_keys().database)
    sys.argv = ["tocsin", "--config", str(HERE / "gunicorn.conf.py"), "wsgi:app"]
    WSGIApplication("%(prog)s [OPTIONS] [APP_MODULE]", prog="tocsin").run()
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""The value of TOCSIN_DATABASE_URL."""

import re
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class DatabaseServer:
    """A database of PostgreSQL. Its text names no user and no password."""

    url: str = field(repr=False)
    name: str
    host: str = ""
    port: str = "5432"
    password: str = field(default="", repr=False)

    def __str__(self) -> str:
        return f"{self.name} at {self.host or 'this machine'}:{self.port}"


def database_of(url: str) -> Path | DatabaseServer:
    """Return the path of the file of SQLite, or the server of PostgreSQL."""
    if url.startswith(("postgresql:", "postgres:")):
        return _database_server(url)
    return _sqlite_path(url)


def _database_server(url: str) -> DatabaseServer:
    """Return the server of a URL; no message repeats a part of it, which may be the password."""
    from psycopg import ProgrammingError  # its library takes time that SQLite does not need
    from psycopg.conninfo import conninfo_to_dict

    example = "write for example postgresql://tocsin:password@db.example:5432/tocsin"
    encoded = "(in a password, write @ as %40, : as %3A, / as %2F, # as %23 and % as %25)"
    try:
        parts = conninfo_to_dict(url)
    except ProgrammingError:
        raise ValueError(f"not a URL of PostgreSQL; {example} {encoded}") from None
    name = str(parts.get("dbname", ""))
    ports = str(parts.get("port", "5432"))
    if not all(re.fullmatch("[0-9]{0,5}", port) for port in ports.split(",")) or "@" in name:
        raise ValueError(f"the port is not a number; {example} {encoded}")
    if not name:
        raise ValueError(f"it names no database; {example}")
    return DatabaseServer(
        url,
        name=name,
        host=str(parts.get("host", "")),
        port=ports,
        password=str(parts.get("password", "")),
    )


def _sqlite_path(url: str) -> Path:
    example = "for example sqlite:////var/lib/tocsin/tocsin.db"
    if not url.startswith("sqlite:"):
        raise ValueError(
            f"it begins with neither sqlite: nor postgresql:, {example} or "
            "postgresql://tocsin:password@db.example:5432/tocsin"
        )
    if re.search("[?#]", url):
        raise ValueError(f"parameters after ? or # are not supported; write {example}")
    path = url.removeprefix("sqlite:///")
    if path in ("", url, ":memory:"):
        raise ValueError(f"it names no file; write {example}")
    return Path(path).absolute()

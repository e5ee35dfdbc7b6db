"""Provisioning: the files of TOCSIN_PROVISION are applied whenever Tocsin starts.

A mistake in them keeps Tocsin from nothing: the channels stay as they are, and the pages, the
log and `tocsin doctor` say what is wrong.
"""

import logging
from hashlib import sha256
from pathlib import Path
from typing import NamedTuple

from flask import Flask, g

from config import ConfigError
from config.references import read_reference
from locks import file_lock
from models import Channel, Fact, db
from web.transfer.applying import PlanOutdated, apply_plan, describe_result
from web.transfer.documents import read_channels
from web.transfer.plan import plan_import
from web.transfer.reading import MAX_FILE_BYTES, FileError, Mapping

log = logging.getLogger("tocsin.provisioning")

ACTOR = "provisioning"
SUFFIXES = (".yml", ".yaml", ".json")
MAX_PROBLEMS_SHOWN = 5
# Of the files that this process, or the one that it is forked from, has applied.
_applied = ""


class _File(NamedTuple):
    name: str
    text: str


def provision(app: Flask) -> None:
    """Apply the files of TOCSIN_PROVISION, and log what is wrong with them.

    A process does so once, and not after the one that it is forked from.
    """
    global _applied
    config = app.extensions["tocsin"].config
    with app.app_context(), db.connection_context():
        g.acting = ACTOR
        try:
            files = read_files(config.provision)
            digest = sha256(repr(files).encode()).hexdigest()
            if digest == _applied:
                return
            with file_lock(config.data_dir / "provision.lock"):
                _apply(files)
            _applied = digest
        except ConfigError as error:
            log.error("nothing was provisioned: %s", error)
            _store_problem(str(error))


def read_files(paths: tuple[Path, ...]) -> list[_File]:
    """Return the files, and those in the folders, in the order of their names.

    Raises:
        ConfigError: a file cannot be read.
    """
    files = []
    for path in paths:
        try:
            members = [path]
            if path.is_dir():
                members = sorted(one for one in path.iterdir() if one.suffix in SUFFIXES)
            files += [_File(member.name, _read(member)) for member in members]
        except OSError as error:
            raise ConfigError(f"TOCSIN_PROVISION: {path}: {error.strerror}.") from None
        except ValueError as error:
            raise ConfigError(f"TOCSIN_PROVISION: {path}: {error}") from None
    return files


def _read(path: Path) -> str:
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ValueError(f"the file is larger than {MAX_FILE_BYTES // 2**20} MB.")
    return path.read_text("utf-8")


def _apply(files: list[_File]) -> None:
    """Apply the files one after another, in one transaction.

    Raises:
        ConfigError: a file has a problem; nothing is changed.
    """
    seen: dict[str, str] = {}
    with db.atomic():
        for file in files:
            names = _apply_file(file, seen)
            seen.update(dict.fromkeys(names, file.name))
        _release_others(set(seen))
        _store_problem("")


def _apply_file(file: _File, seen: dict[str, str]) -> list[str]:
    try:
        entries = read_channels(file.text)
        _refuse_repeated(entries, seen)
        plan = plan_import(entries, read_reference, file.name)
        if plan.problems:
            shown = " ".join(map(str, plan.problems[:MAX_PROBLEMS_SHOWN]))
            raise ConfigError(f"TOCSIN_PROVISION: {file.name}: {shown}")
        apply_plan(plan, file.name, file.name)
    except (FileError, PlanOutdated) as error:
        raise ConfigError(f"TOCSIN_PROVISION: {file.name}: {error}") from None
    if not plan.is_empty:
        log.info("provisioned from %s: %s", file.name, describe_result(plan))
    return [step.name for step in plan.steps]


def _refuse_repeated(entries: list[Mapping], seen: dict[str, str]) -> None:
    for entry in entries:
        name = str(entry.get("name", "")).strip()
        if name in seen:
            raise FileError(entry.line_of("name"), f"“{name}” is in {seen[name]} as well.")


def _release_others(names: set[str]) -> None:
    """Let people change the channels that no file names any longer."""
    for channel in Channel.listed().where(Channel.provisioned != ""):
        if channel.name not in names:
            Channel.set_by_id(channel.id, {"provisioned": ""})
            log.warning("“%s” is no longer provisioned; it stays, and can be edited", channel.name)


def _store_problem(problem: str) -> None:
    if problem != provisioning_problem():
        Fact.store(Fact.PROVISIONING_PROBLEM, problem)


def provisioning_problem() -> str:
    """Return why the files of TOCSIN_PROVISION were not applied; empty if they were."""
    fact = Fact.get_or_none(Fact.name == Fact.PROVISIONING_PROBLEM)
    return fact.value if fact else ""

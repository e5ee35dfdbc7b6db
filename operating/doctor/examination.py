"""Run all checks, as far as each is possible."""

from collections.abc import Callable, Mapping
from typing import Any

from clock import now_ms
from config import Config, ConfigError, variable_notices
from operating.doctor import data, files, settings
from operating.doctor.findings import Finding, Level, fine, problem, warning

_ABOUT_VARIABLES = "variables"


def examine(environ: Mapping[str, str] | None = None) -> list[Finding]:
    """Return the findings of all checks; without a readable database, of those without it."""
    found = _check_variables(environ)
    try:
        config = Config.from_env(environ)
    except ConfigError as error:
        return [*found, problem(_ABOUT_VARIABLES, str(error), "Correct the variable.")]
    found += files.check_permissions(config)
    found += files.check_space(config)
    found += _examine_data(config)
    found += settings.check_policy(config)
    found += settings.check_proxy(config)
    return found + settings.check_script(config)


def _check_variables(environ: Mapping[str, str] | None) -> list[Finding]:
    notices = variable_notices(environ)
    if not notices:
        return [fine(_ABOUT_VARIABLES, "All that are set have an effect.")]
    advice = "Correct its name, or remove it."
    return [warning(_ABOUT_VARIABLES, notice, advice) for notice in notices]


def _examine_data(config: Config) -> list[Finding]:
    found: list[Finding] = []
    leads = False
    try:
        with data.reading(config) as connection:
            now = now_ms()
            leads = data.has_leader(config)
            found += data.check_database(config, connection)
            if not any(finding.level == Level.PROBLEM for finding in found):
                found += _examine_rows(config, connection, now)
    except data.ERRORS as error:
        found.append(data.describe_failure(config, error))
    return found + files.check_worker(config, leads)


def _examine_rows(config: Config, connection: Any, now: int) -> list[Finding]:
    found = _check_keys(config, connection)
    checks: tuple[Callable[[Any, int], list[Finding]], ...] = (
        data.check_clock,
        data.check_due,
        data.check_backup,
    )
    for check in checks:
        found += check(connection, now)
    found += data.check_provisioning(connection)
    return found + data.check_heartbeat(config, connection, now)


def _check_keys(config: Config, connection: Any) -> list[Finding]:
    try:
        config = config.with_keys(create=False)
    except ConfigError as error:
        return [problem("keys", str(error), "Restore the keys, or set the variable.")]
    return data.check_keys(config, connection)

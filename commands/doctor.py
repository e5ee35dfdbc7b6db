"""`tocsin doctor`."""

import json

import click

from operating.doctor.examination import examine
from operating.doctor.findings import Finding, Level

_COLORS = {Level.OK: "green", Level.WARNING: "yellow", Level.PROBLEM: "red"}


@click.command()
@click.option("--json", "as_json", is_flag=True, help="Print a list of JSON objects.")
@click.pass_context
def doctor(ctx: click.Context, as_json: bool) -> None:
    """Check the installation without changing it; exit code 1 if there is a problem."""
    findings = examine()
    if as_json:
        click.echo(json.dumps([finding._asdict() for finding in findings], indent=2))
    else:
        for finding in findings:
            click.echo(_line(finding))
    if any(finding.level == Level.PROBLEM for finding in findings):
        ctx.exit(1)


def _line(finding: Finding) -> str:
    level = click.style(f"{finding.level:8}", fg=_COLORS[finding.level])
    line = f"{level} {finding.subject}: {finding.text}"
    if finding.advice:
        line += f"\n         → {finding.advice}"
    return line

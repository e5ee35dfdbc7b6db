"""Show the plan of an import in the terminal, and carry it out."""

from functools import partial

import click

from commands.progress import interruptible, tracked
from web.transfer.applying import PlanOutdated, apply_plan, describe_plan, describe_result
from web.transfer.plan import Action, Plan, Step, plan_import
from web.transfer.reading import Mapping
from web.transfer.secret_texts import Resolver

MAX_PROBLEMS_SHOWN = 50
_SIGNS = {Action.CREATE: "+", Action.CHANGE: "~", Action.DELETE: "-"}


def carry_out(
    entries: list[Mapping], source: str, *, resolve: Resolver | None, dry_run: bool, yes: bool
) -> None:
    """Plan the import of these entries, show the plan, ask, and apply it.

    Raises:
        ClickException: an entry is invalid, or a channel has been changed since; nothing is
            imported.
        Abort: the answer is no.
    """
    plan = plan_import(entries, resolve, track=partial(tracked, "Checking the channels"))
    _refuse_problems(plan, source)
    for step in plan.steps:
        _show(step)
    click.echo(f"{source}: {describe_plan(plan)}.")
    if plan.is_empty:
        return
    if dry_run:
        click.echo("Nothing was changed: this was a dry run.", err=True)
        return
    if not yes:
        click.confirm("Import this?", abort=True, err=True)
    try:
        with interruptible():
            apply_plan(plan, source, track=partial(tracked, "Importing"))
    except PlanOutdated as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"Imported: {describe_result(plan)}.", err=True)


def _refuse_problems(plan: Plan, source: str) -> None:
    if not plan.problems:
        return
    for problem in plan.problems[:MAX_PROBLEMS_SHOWN]:
        click.echo(f"{source}, {problem}", err=True)
    rest = len(plan.problems) - MAX_PROBLEMS_SHOWN
    if rest > 0:
        click.echo(f"{source}: and {rest:,} more.", err=True)
    raise click.ClickException("Nothing was imported.")


def _show(step: Step) -> None:
    """Print a step: a line for the channel, and a line for each field that changes."""
    if step.action == Action.NOTHING:
        return
    click.echo(f"{_SIGNS[step.action]} {step.name}")
    for change in step.changes:
        before = f"{_one_line(change.before)} → " if step.action == Action.CHANGE else ""
        click.echo(f"    {change.label}: {before}{_one_line(change.after)}")


def _one_line(text: str) -> str:
    return " ".join(text.split()) or "(none)"

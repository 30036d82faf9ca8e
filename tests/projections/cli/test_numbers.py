"""Numbers in options: whatever is typed there, a command answers in a sentence."""

from __future__ import annotations

from collections.abc import Iterator

import click
import pytest

from projections.cli.app import cli
from tests.projections.cli.test_app import Run, run

__all__ = ["run"]

VALUES = ("nan", "inf", "-inf", "1e300", "-1", "0", "1.5", str(10**30), "9" * 5000)
WAITING = {"serve", "replicate", "restore", "project", "watch", "token"}
"""Commands that serve or need an engine: their options are only parsed."""

GIVEN = {"--cost-usd": "1", "--reason": "why"}


def commands() -> Iterator[tuple[str, click.Command]]:
    context = click.Context(cli)
    for name in cli.list_commands(context):
        command = cli.get_command(context, name)
        assert command is not None
        yield name, command


def takes_number(option: click.Option) -> bool:
    kinds = click.types.IntParamType | click.types.FloatParamType
    named = option.type.name == "number" or option.metavar in ("USD", "TIME", "DATE", "SEQ", "TIME|SEQ")
    return isinstance(option.type, kinds) or named


def numeric() -> list[tuple[str, str]]:
    return [
        (name, option.opts[0])
        for name, command in commands()
        for option in command.params
        if isinstance(option, click.Option) and not option.is_flag and takes_number(option)
    ]


def needed(command: click.Command, given: str) -> Iterator[str]:
    """What a command needs to run, without the option that is given."""
    for parameter in command.params:
        if isinstance(parameter, click.Option) and parameter.required and parameter.opts[0] != given:
            yield from (parameter.opts[0], GIVEN[parameter.opts[0]])
        elif isinstance(parameter, click.Argument) and parameter.required:
            yield "w"


@pytest.mark.parametrize(("name", "option"), numeric())
def test_no_number_is_an_internal_error(run: Run, name: str, option: str) -> None:
    run("charge", "w", "--cost-usd", "0.10")
    command = dict(commands())[name]
    for value in VALUES:
        if name in WAITING:
            try:
                command.make_context(name, [f"{option}={value}"])
            except click.UsageError as error:
                assert option in error.format_message()
            continue
        done = run(name, *needed(command, option), f"{option}={value}")
        assert "should not happen" not in done.err, (value, done.err)
        assert done.code in (0, 1, 2, 3)
        assert not done.code or option in done.err or value in done.err, (value, done)


def test_the_fuzzed_options_are_those_that_take_numbers() -> None:
    assert {("stale", "--idle-hours"), ("explain", "--limit"), ("history", "--issue"), ("serve", "--streams-max")} <= {
        *numeric()
    }


@pytest.mark.parametrize("value", ["nan", "inf", "1e300", "-1"])
def test_the_time_of_silence_is_a_number_of_hours(run: Run, value: str) -> None:
    refused = run("stale", "--idle-hours", value)
    assert refused.code == 2
    assert refused.err.startswith("Usage:")
    assert "Invalid value for '--idle-hours'" in refused.err


def test_an_issue_is_given_as_it_is_shown(run: Run) -> None:
    assert run("start", "q9", "--issue-number", "#17").code == 0
    assert run("show", "q9", "--json").json["issue_number"] == 17
    assert [each["adw_id"] for each in run("history", "--issue", "#17", "--json").json["workflows"]] == ["q9"]
    refused = run("start", "q9", "--issue-number", "#x")
    assert (refused.code, "'#x' is no issue; give its number, as 17 or '#17'" in refused.err) == (2, True)


def test_a_number_that_is_too_large_is_not_called_too_small(run: Run) -> None:
    refused = run("spend", "-n", str(10**30))
    assert (refused.code, f"{10**30} is too large; the most is {2**63 - 1}" in refused.err) == (2, True)

"""Documents as JSON lines and as Parquet, for other programs."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeVar

import click

from ledger.errors import CostledgerError, InvalidInput, MissingExtra, reason
from ledger.text import counted
from projections.json_text import json_bytes

__all__ = ["check_one_format", "file_options", "print_or_write"]

F = TypeVar("F", bound=Callable[..., Any])

_AMOUNTS: Final = frozenset({"actual_cost_total", "estimated_cost_total"})


def file_options(command: F) -> F:
    """Add `--jsonl` and `--parquet FILE`."""
    for option in (
        click.option(
            "--parquet",
            type=click.Path(path_type=Path, dir_okay=False),
            metavar="FILE",
            help="Write a Parquet file; it needs the extra `parquet`.",
        ),
        click.option("--jsonl", is_flag=True, help="Print a JSON object on each line."),
    ):
        command = option(command)
    return command


def check_one_format(**chosen: object) -> None:
    """Check that at most one format is chosen.

    Raises:
        InvalidInput: several are.
    """
    names = [f"--{name.removeprefix('as_')}" for name, value in chosen.items() if value]
    if len(names) > 1:
        raise InvalidInput(f"{' and '.join(names)}: give one of them")


def print_or_write(documents: Iterable[Mapping[str, Any]], parquet: Path | None) -> None:
    """Print a JSON object on each line, as in the list of `--json`; or write a Parquet file, and say how many rows.

    Raises:
        MissingExtra, InvalidInput, CostledgerError: as the file cannot be made.
    """
    if parquet is not None:
        click.echo(f"wrote {counted(_write_parquet(parquet, documents), 'row')} to {parquet}", err=True)
        return
    for one in documents:
        click.echo(json_bytes(one))


def _write_parquet(path: Path, documents: Iterable[Mapping[str, Any]]) -> int:
    """Write documents as rows of a Parquet file: amounts as decimals, objects as JSON text; return how many.

    Raises:
        MissingExtra: pyarrow is not installed.
        InvalidInput: there is nothing to write.
        CostledgerError: the file cannot be written.
    """
    try:
        import pyarrow as arrow
        import pyarrow.parquet as parquet
    except ImportError:
        raise MissingExtra("--parquet", "parquet") from None
    rows = [{name: _value(name, value) for name, value in one.items()} for one in documents]
    if not rows:
        raise InvalidInput(f"nothing to write to {path}: no row matches")
    decimal = arrow.decimal128(38, 9)
    columns = {}
    for name in dict.fromkeys(name for row in rows for name in row):
        values = [row.get(name) for row in rows]
        kind = decimal if _is_amount(name) else None
        kind = arrow.string() if kind is None and all(value is None for value in values) else kind
        columns[name] = arrow.array(values, type=kind)
    try:
        parquet.write_table(arrow.table(columns), path)
    except OSError as error:
        raise CostledgerError(f"could not write {path}: {reason(error)}") from error
    return len(rows)


def _is_amount(name: str) -> bool:
    return name.endswith("_usd") or name in _AMOUNTS


def _value(name: str, value: object) -> object:
    if value is not None and _is_amount(name) and isinstance(value, str):
        return Decimal(value)
    return json_bytes(value).decode() if isinstance(value, (dict, list)) else value

"""Tables that fit where they are printed: what has no room is shortened or left out, and no figure is ever cut.

Rich is imported when one is drawn, so that `--json` does not wait for it.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Final, Literal, Self

if TYPE_CHECKING:
    import rich.table
    from rich.console import Console
    from rich.text import Text

__all__ = ["Brief", "Id", "Table"]

_ID_CHARACTERS: Final = 8
"""The least that is shown of an id: what `git` and `docker` users expect, and more than a command needs."""

_NAME_COLUMNS: Final = 36
"""Beyond this width a name is broken before a column is left out, lest one long name cost a table its figures."""

_NAME_COLUMNS_MIN, _PROSE_COLUMNS_MIN, _PROSE_COLUMNS_LEAST = 10, 24, 12
"""Names are broken below their width only when no column is left to leave out; prose folds well down to this."""

_CUT_COLUMNS, _CUT_COLUMNS_MIN, _CUT_COLUMNS_LEAST = 24, 16, 9
"""A text that is cut to one line needs so many columns before another column is left out, and so many where ids are
shortened; before a column of such texts is left out, all of them have at least so many."""

_HEADING_COLUMNS: Final = 16
"""Headings of figures fold to so many columns before the cells of a row are put below each other."""

_BETWEEN: Final = 3
"""Blanks between two columns."""

_AROUND: Final = 4
"""Blanks before the first column and after the last, together, as `SIMPLE_HEAD` draws them."""


_PART: Final = re.compile(r"[^-/_. ]+[-/_. ]*|[-/_. ]+")
"""A part of a name, after which a line may end."""

_PART_COLUMNS: Final = 16
"""Names are broken within a part only where that is longer."""

_AMOUNT: Final = re.compile(r"(?:≥ )?[+-]?\$[0-9,]+\.([0-9]+)")


class Id(str):
    """A cell that is an id: whole where there is room, else the shortest beginning that is unique in its column."""

    __slots__ = ()


class Brief(str):
    """A cell that has a shorter form, for a table with too little room."""

    __slots__ = ("short",)
    short: str

    def __new__(cls, text: str, short: str) -> Self:
        """Return a text that is shown as `short` where it has no room."""
        made = super().__new__(cls, text)
        made.short = short
        return made


class Table:
    """Rows that become a table of the width of the terminal.

    Args:
        right: columns of figures, aligned to the right; they and `whole` ones are never broken.
        prose: columns of sentences, which fold before anything else gives way.
        cut: columns of texts that are cut to one line where they have no room, such as titles.
        optional: columns that are left out when no row has a cell in them.
        dropped: what a terminal that is too narrow goes without, step by step. The first column is never among it.
    """

    def __init__(
        self,
        title: str | None,
        *columns: str,
        right: Collection[str] = (),
        whole: Collection[str] = (),
        prose: Collection[str] = (),
        cut: Collection[str] = (),
        optional: Collection[str] = (),
        dropped: Sequence[str | tuple[str, ...]] = (),
    ) -> None:
        self._title, self._columns = title, columns
        self._right, self._unbroken, self._prose, self._cut = right, {*right, *whole}, prose, cut
        self._optional = optional
        self._dropped = [{step} if isinstance(step, str) else {*step} for step in dropped]
        self._rows: list[tuple[Sequence[str | Text], str]] = []
        self._total_at: int | None = None

    @property
    def row_count(self) -> int:
        """Return the number of rows."""
        return len(self._rows)

    def add_row(self, *cells: str | Text, style: str = "") -> None:
        """Add a row, a cell for each column."""
        self._rows.append((cells, style))

    def add_total(self, *cells: str | Text) -> None:
        """Add the last row, set apart."""
        self._total_at = len(self._rows)
        self._rows.append((cells, "bold"))

    def print(self, out: Console) -> None:
        """Print it; into a pipe or a file without the blanks that frame it on a terminal."""
        made = self.fitted(out.width)
        if out.is_terminal:
            out.print(made)
            return
        with out.capture() as captured:
            out.print(made)
        text = "\n".join(line.rstrip() for line in captured.get().splitlines()).strip("\n")
        out.file.write((text.replace("\n\n", "\n", 1) if self._title else text) + "\n")

    def fitted(self, columns: int) -> rich.table.Table:
        """Return the table for a terminal of so many columns; for a tiny one with cells below each other."""
        whole, short = (self._aligned(cells) for cells in (self._cells(), self._cells(self._short_ids())))
        chosen = [at for at, name in enumerate(self._columns) if name not in self._optional or self._is_filled(at)]
        tries = [(whole, self._wanted), (short, self._folded)]
        for gone, following in zip([set[str](), *self._dropped], [*self._dropped, set[str]()], strict=True):
            chosen = [at for at in chosen if self._columns[at] not in gone]
            if len(tries) == 2 and not following.isdisjoint(self._cut):
                tries.append((short, self._tight))
            for cells, least in tries:
                if (widths := self._widths(chosen, cells, columns, least)) is not None:
                    return self._drawn(chosen, cells, widths)
        widths = self._widths(chosen, short, columns, self._least)
        if widths is None:
            widths = self._widths(chosen, short, columns, self._least, folds=True)
        return self._stacked(chosen, whole) if widths is None else self._drawn(chosen, short, widths)

    def _is_filled(self, at: int) -> bool:
        return any(cells[at] for number, (cells, _) in enumerate(self._rows) if number != self._total_at)

    def _cells(self, short: dict[str, str] | None = None) -> list[list[str | Text]]:
        def shown(cell: str | Text) -> str | Text:
            if short is None:
                return cell
            return short[cell] if isinstance(cell, Id) else cell.short if isinstance(cell, Brief) else cell

        return [[shown(cell) for cell in cells] for cells, _ in self._rows]

    def _aligned(self, cells: list[list[str | Text]]) -> list[list[str | Text]]:
        """Return the cells with blanks after the amounts with fewer decimals than others of their column."""
        for at, name in enumerate(self._columns):
            decimals = [_decimals(row[at]) for row in cells] if name in self._right else []
            most = max(decimals, default=0)
            for row, count in zip(cells, decimals, strict=False):
                if count:
                    row[at] = row[at] + " " * (most - count)
        return cells

    def _short_ids(self) -> dict[str, str]:
        """For each id the shortest beginning that no other id of its column has; all of a column of one length."""
        found: dict[str, str] = {}
        for at in range(len(self._columns)):
            ids = {str(cells[at]) for cells, _ in self._rows if isinstance(cells[at], Id)}
            longest = max(map(len, ids), default=0)
            length = next((n for n in range(_ID_CHARACTERS, longest) if len({i[:n] for i in ids}) == len(ids)), longest)
            found |= {name: name if len(name) <= length + 1 else f"{name[:length]}…" for name in ids}
        return found

    def _wanted(self, at: int, natural: int) -> int:
        if self._columns[at] in self._cut:
            return min(natural, _CUT_COLUMNS)
        return min(natural, _PROSE_COLUMNS_MIN) if self._columns[at] in self._prose else natural

    def _folded(self, at: int, natural: int) -> int:
        if self._columns[at] in self._unbroken:
            return natural
        if self._columns[at] in self._cut:
            return min(natural, _CUT_COLUMNS_MIN)
        return min(natural, _PROSE_COLUMNS_MIN if self._columns[at] in self._prose else _NAME_COLUMNS)

    def _tight(self, at: int, natural: int) -> int:
        if self._columns[at] in self._cut:
            return min(natural, max(_CUT_COLUMNS_LEAST, len(self._columns[at])))
        return self._folded(at, natural)

    def _least(self, at: int, natural: int) -> int:
        if self._columns[at] in self._unbroken:
            return natural
        if self._columns[at] in self._prose:
            return min(natural, _PROSE_COLUMNS_LEAST)
        longest = max((_width(part) for cells, _ in self._rows for part in _PART.findall(str(cells[at]))), default=0)
        return min(natural, max(_NAME_COLUMNS_MIN, min(longest, _PART_COLUMNS)))

    def _widths(
        self,
        chosen: list[int],
        cells: list[list[str | Text]],
        columns: int,
        least: Callable[[int, int], int],
        *,
        folds: bool = False,
    ) -> list[int] | None:
        """The width of each column that is chosen, with folded headings or whole ones, or None when they do not fit."""
        headings = [_folded(self._columns[at], _HEADING_COLUMNS) if folds else self._columns[at] for at in chosen]
        natural = [
            max(map(_width, [heading, *(row[at] for row in cells)]))
            for at, heading in zip(chosen, headings, strict=True)
        ]
        widths = [least(at, most) for at, most in zip(chosen, natural, strict=True)]
        room = columns - _AROUND - _BETWEEN * (len(chosen) - 1) - sum(widths)
        if room < 0:
            return None
        growing = [at for at, width in enumerate(widths) if width < natural[at]]
        while room and growing:
            narrowest = min(growing, key=widths.__getitem__)
            widths[narrowest] += 1
            room -= 1
            growing = [at for at in growing if widths[at] < natural[at]]
        return widths

    def _drawn(self, chosen: list[int], cells: list[list[str | Text]], widths: list[int]) -> rich.table.Table:
        made = self._empty()
        for at, width in zip(chosen, widths, strict=True):
            name = self._columns[at]
            one_line = name in self._unbroken or name in self._cut
            overflow: Literal["ellipsis", "fold"] = "ellipsis" if name in self._cut else "fold"
            shown = name
            if name in self._right:
                shown = "\n".join(line.rjust(width) for line in _folded(name, width).split("\n"))
            made.add_column(shown, width=width, no_wrap=one_line, overflow=overflow)
        for number, (row, (_, style)) in enumerate(zip(cells, self._rows, strict=True)):
            if number == self._total_at:
                made.add_section()
            made.add_row(
                *(self._padded(row[at], at, width) for at, width in zip(chosen, widths, strict=True)), style=style
            )
        return made

    def _padded(self, cell: str | Text, at: int, width: int) -> str | Text:
        """Return a figure with blanks before it; rich would strip those after it to align it."""
        from rich.text import Text

        if self._columns[at] in self._right:
            return Text(" " * (width - _width(cell))) + cell
        if isinstance(cell, Text) or self._columns[at] in {*self._unbroken, *self._cut, *self._prose}:
            return cell
        return "\n".join(_broken(line, width) for line in cell.split("\n"))

    def _stacked(self, chosen: list[int], cells: list[list[str | Text]]) -> rich.table.Table:
        from rich.text import Text

        made = self._empty()
        made.add_column("\n".join(self._columns[at] for at in chosen), overflow="fold")
        for row, (_, style) in zip(cells, self._rows, strict=True):
            made.add_row(Text("\n").join(Text("") + row[at] for at in chosen if row[at]), style=style)
        return made

    def _empty(self) -> rich.table.Table:
        import rich.table
        from rich import box

        return rich.table.Table(
            title=self._title, box=box.SIMPLE_HEAD, title_justify="left", title_style="bold", header_style="bold"
        )


def _folded(heading: str, width: int) -> str:
    return "\n".join(textwrap.wrap(heading, width)) if len(heading) > width else heading


def _broken(name: str, width: int) -> str:
    """Return a name in lines that end between its parts; a part that is longer than a line is broken when drawn."""
    lines = [""]
    for part in _PART.findall(name):
        if lines[-1] and _width(lines[-1] + part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def _decimals(cell: str | Text) -> int:
    """Return how many decimals an amount has; 0 of another cell."""
    found = _AMOUNT.fullmatch(str(cell))
    return len(found[1]) if found else 0


def _width(cell: str | Text) -> int:
    from rich.cells import cell_len

    return max(map(cell_len, str(cell).split("\n")))

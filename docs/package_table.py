"""Write the table of packages in docs/architecture.md from the chain and the packages' own sentences.

Usage: python docs/package_table.py
"""

from __future__ import annotations

import ast
import re
import sys
from pathlib import Path

PAGE = Path(__file__).with_name("architecture.md")
_TABLE = re.compile(r"(?<=<!-- Written by docs/package_table.py -->\n\n).*?(?=^## )", re.M | re.S)


def table() -> str:
    """Return the table: a row for each entry of the chain, in its order."""
    sys.path.insert(0, str(PAGE.parent.parent))  # `tests` is installed nowhere
    from tests.structure import CHAIN, modules, trees

    rows = ["| package or module | what it is |", "|---|---|"]
    for name in CHAIN:
        sentence = " ".join((ast.get_docstring(trees()[name]) or "").partition("\n\n")[0].split())
        path = name.replace(".", "/")
        link = f"{path}/" if modules()[name].name == "__init__.py" else f"{path}.py"
        rows.append(f"| `{link}` | {sentence.replace('|', chr(92) + '|')} |")
    return "\n".join(rows) + "\n\n"


def page(text: str) -> str:
    """Return the page with its table made again."""
    return _TABLE.sub(lambda _: table(), text)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text(encoding="utf-8")), encoding="utf-8")

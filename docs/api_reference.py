"""Write docs/api-reference.md from the OpenAPI document.

Usage: python docs/api_reference.py
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from projections.history.memory import MemoryHistory
from projections.server.app import create_app
from projections.server.service.service import Service
from projections.server.service.settings import Settings

PAGE = Path(__file__).with_name("api-reference.md")

_INTRODUCTION = """\
<!-- Written by docs/api_reference.py: change the server, then run it. -->

# HTTP API reference

Every route of the [HTTP API](api.md), then every JSON shape. `GET /openapi.json` has the same, with examples.
`adw_id` is the id of a workflow (ADW: AI developer workflow).
"""

_EVERYWHERE = {"401", "403", "408", "413", "421", "422", "429", "503"}


def document() -> dict[str, Any]:
    """Return the OpenAPI document, without a server."""
    service = Service(Settings(Path("data")), MemoryHistory)
    try:
        return create_app(service).openapi()
    finally:
        service.close()


def reference(of: dict[str, Any]) -> str:
    """Return the reference in Markdown: every route, then every shape."""
    lines = ["## Routes", ""]
    for path, methods in of["paths"].items():
        for method, operation in methods.items():
            lines += _route(f"{method.upper()} {path}", operation)
    lines += ["## Shapes", ""]
    for name, shape in sorted(of["components"]["schemas"].items()):
        if name not in ("HTTPValidationError", "ValidationError"):
            lines += _shape(name, shape)
    return "\n".join(lines).rstrip() + "\n"


def _route(title: str, operation: dict[str, Any]) -> Iterator[str]:
    yield f"### `{title}`"
    yield ""
    yield f"{operation['summary']}."
    if description := operation.get("description"):
        yield ""
        yield from description.splitlines()
    yield ""
    if parameters := operation.get("parameters"):
        yield "| parameter | in | type | default | |"
        yield "|---|---|---|---|---|"
        for one in parameters:
            schema, description = one["schema"], _cell(one.get("description", ""))
            limits = "; ".join(text for text in (description, _limits(schema)) if text)
            kind = _type(schema).removesuffix(" or null")
            yield f"| `{one['name']}` | {one['in']} | {kind} | {_default(one)} | {limits} |"
        yield ""
    answers = [
        f"{status} {_answer(answer)}".rstrip()
        for status, answer in sorted(operation["responses"].items())
        if status not in _EVERYWHERE
    ]
    yield f"Answers: {'; '.join(answers)}."
    yield ""


def _answer(answer: dict[str, Any]) -> str:
    kinds = [_type(content.get("schema", {})) for content in answer.get("content", {}).values()]
    named = [kind for kind in dict.fromkeys(kinds) if kind.startswith("[")]
    return ", ".join(named) if named else _cell(answer.get("description", "")).rstrip(".")


def _shape(name: str, shape: dict[str, Any]) -> Iterator[str]:
    yield f"### {name}"
    yield ""
    if description := shape.get("description"):
        yield from description.splitlines()
        yield ""
    yield "| field | type | |"
    yield "|---|---|---|"
    for field, of in shape.get("properties", {}).items():
        yield f"| `{field}` | {_type(of)} | {_cell(of.get('description', ''))} |"
    yield ""


def _type(schema: dict[str, Any]) -> str:
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        return f"[{name}](#{name.lower()})"
    if "anyOf" in schema:
        return " or ".join(dict.fromkeys(_type(one) for one in schema["anyOf"]))
    if "enum" in schema:
        return ", ".join(f"`{value}`" for value in schema["enum"])
    if schema.get("type") == "array":
        return f"list of {_type(schema.get('items', {}))}"
    if schema.get("type") == "object" and isinstance(schema.get("additionalProperties"), dict):
        return f"object of {_type(schema['additionalProperties'])}"
    kind = str(schema.get("type", "any"))
    return "USD" if kind == "string" and "[0-9]{2,9}" in schema.get("pattern", "") else kind


def _default(parameter: dict[str, Any]) -> str:
    if parameter.get("required"):
        return "(required)"
    default = parameter["schema"].get("default")
    return "" if default is None else f"`{json.dumps(default)}`" if not isinstance(default, str) else f"`{default}`"


def _limits(schema: dict[str, Any]) -> str:
    """Return the limits of a value, in words."""
    one = next((found for found in schema.get("anyOf", ()) if found.get("type") != "null"), schema)
    low, high = one.get("minimum"), one.get("maximum", one.get("exclusiveMaximum"))
    limits = []
    if low is not None and high is not None:
        limits.append(f"from {low:,} to {high - ('exclusiveMaximum' in one):,}")
    if "maxLength" in one:
        limits.append(f"{one['maxLength']:,} characters at most")
    if "pattern" in one:
        limits.append(f"`{one['pattern'].strip('^$')}`")
    return ", ".join(limits)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def page() -> str:
    """Return the whole page."""
    return f"{_INTRODUCTION}\n{reference(document())}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")

"""`costledger.toml`: sources to read, rates that were agreed, budgets, webhooks; all of it optional.

    data = "costs"                  # the data directory, where neither --data nor COSTLEDGER_DATA names one
    auto_import = true              # reading commands import what is new first
    [[sources]]                     # kind, path, workflow_by, workflow_id, agent
    [[prices]]                      # model, since, service_tier, rates in USD; the first that matches wins
    [providers]                     # the provider whose prices apply, by a glob of the model's name
    idle_after = "1h"               # an open workflow without activity for so long is shown as idle
    [budgets]                       # default_usd, and by_template
    [[budgets.period]]              # usd per day, week or month, of what `where` asks for
    [[tags]]                        # set, and globs of project, branch and template: tags of workflows as they are read
    [[webhooks]]                    # url, secret_env or secret_file, events, format

Appending imports this module only when there is such a file: pydantic takes most of the time of a cold start.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from datetime import date
from decimal import Decimal
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import SplitResult, urlsplit

from pydantic import Field, ValidationError, field_validator, model_validator

from ledger.config.budgets import BudgetConfig, PeriodBudgetConfig
from ledger.config.values import Name, Provider, Rate, Section, Span, WorkflowId
from ledger.errors import InvalidConfig, InvalidInput, reason
from ledger.events.fields import check_tags
from ledger.sources import KINDS, MAPPED_KINDS, TRANSCRIPT_KINDS

__all__ = [
    "RATE_FIELDS",
    "WEBHOOK_EVENTS",
    "BudgetConfig",
    "Config",
    "PriceOverride",
    "SourceConfig",
    "TagConfig",
    "WebhookConfig",
    "line_of",
    "load",
]

WEBHOOK_EVENTS: Final = ("cost.updated", "workflow.settled", "budget.warned", "budget.exceeded", "ledger.damaged")
"""What webhooks report."""

RATE_FIELDS: Final = {
    "input_usd_per_mtok": "input_tokens",
    "cache_write_usd_per_mtok": "cache_write_tokens",
    "cache_write_1h_usd_per_mtok": "cache_write_1h_tokens",
    "cache_read_usd_per_mtok": "cache_read_tokens",
    "output_usd_per_mtok": "output_tokens",
    "web_search_usd": "web_search_requests",
}
"""The bucket that each rate is for."""

_PROBLEMS: Final = {
    "extra_forbidden": "not a key here",
    "missing": "missing",
    "date_from_datetime_parsing": "expected a date such as 2026-01-01",
    "date_type": "expected a date such as 2026-01-01",
    "list_type": "expected [[tables]]",
    "tuple_type": "expected several: [[double brackets]] for a section, a [list] for a key",
    "model_type": "expected a [table]",
}


class SourceConfig(Section):
    """A source to import and to follow.

    Attributes:
        kind: as `costledger import KIND`.
        path: None: the kind's default folders.
        workflow_by: what one workflow is; for transcripts.
        workflow_id: one workflow for all of it.
        map: `field=column`, for the kinds that read any table.
    """

    kind: Name
    path: Path | None = None
    workflow_by: Literal["session", "project", "branch"] | None = None
    workflow_id: WorkflowId | None = None
    agent: Name | None = None
    map: tuple[Name, ...] = ()

    @field_validator("kind")
    @classmethod
    def _known_kind(cls, kind: str) -> str:
        if kind not in KINDS:
            raise ValueError(f"no source is called {kind!r}{_near(kind, KINDS)}; there are: {', '.join(KINDS)}")
        return kind

    @field_validator("map")
    @classmethod
    def _known_map(cls, map: tuple[str, ...]) -> tuple[str, ...]:
        if map:
            from ledger.sources.mapped import parsed_map

            try:
                parsed_map(map)
            except InvalidInput as error:
                raise ValueError(str(error)) from None
        return map

    @model_validator(mode="after")
    def _one_mapping(self) -> SourceConfig:
        if self.workflow_id is not None and self.workflow_by is not None:
            raise ValueError("workflow_id names one workflow for all of it; leave out workflow_by, or workflow_id")
        if self.kind not in TRANSCRIPT_KINDS:
            if self.path is None:
                raise ValueError(f"a source of kind {self.kind!r} needs a path")
            if self.workflow_by is not None:
                raise ValueError(f"workflow_by is for {', '.join(TRANSCRIPT_KINDS)}")
        if self.map and self.kind not in MAPPED_KINDS:
            raise ValueError(f"map is for {' and '.join(MAPPED_KINDS)}")
        return self


class PriceOverride(Section):
    """Rates that were agreed for the models whose name a glob matches; a bucket that is not named has no price.

    Attributes:
        model: a glob, compared without case: "claude-*".
        since: from this day on, UTC; None: always.
        service_tier: only calls served this way; None: all of them.
    """

    model: Name
    since: date | None = None
    service_tier: Name | None = None
    input_usd_per_mtok: Rate | None = None
    cache_write_usd_per_mtok: Rate | None = None
    cache_write_1h_usd_per_mtok: Rate | None = None
    cache_read_usd_per_mtok: Rate | None = None
    output_usd_per_mtok: Rate | None = None
    web_search_usd: Rate | None = None

    @model_validator(mode="after")
    def _some_rate(self) -> PriceOverride:
        if not self.rates:
            raise ValueError(f"names no rate; the rates are: {', '.join(RATE_FIELDS)}")
        return self

    @property
    def rates(self) -> dict[str, Decimal]:
        """USD by bucket: per million tokens, or per web search."""
        given = {bucket: getattr(self, name) for name, bucket in RATE_FIELDS.items()}
        return {bucket: rate for bucket, rate in given.items() if rate is not None}


class TagConfig(Section):
    """Tags for the workflows that match, applied when they are read; their own tags count first.

    Attributes:
        project, branch, template: globs, compared without case; all that are given must match. None: any.
        set: the tags by key.
    """

    project: Name | None = None
    branch: Name | None = None
    template: Name | None = None
    set: dict[str, str]

    @field_validator("set")
    @classmethod
    def _valid_tags(cls, set: dict[str, str]) -> dict[str, str]:
        if "" in set.values():
            raise ValueError("a tag needs a value")
        return check_tags(set)

    @property
    def patterns(self) -> dict[str, str]:
        """The globs that must match, by the column of a row."""
        given = {"project": self.project, "branch": self.branch, "workflow_template": self.template}
        return {column: glob for column, glob in given.items() if glob is not None}


class WebhookConfig(Section):
    """An endpoint that receives messages by HTTP, signed with a secret that is not in this file.

    Attributes:
        secret_env, secret_file: where the secret is: an environment variable, or a file with nothing else in it; for
            Slack none is needed.
        events: some of `WEBHOOK_EVENTS`.
        format: the body: the whole message, or a sentence of it as Slack's incoming webhooks take it.
        allow_private: the address may be private to this network, and without TLS.
        timeout_seconds: of one attempt.
        attempts: a message is given up after this many, until it is sent again by hand.
        retry_seconds: the first pause; each one after it is twice as long, up to twelve hours.
    """

    url: str
    secret_env: Name | None = None
    secret_file: Path | None = None
    events: tuple[
        Literal["cost.updated", "workflow.settled", "budget.warned", "budget.exceeded", "ledger.damaged"], ...
    ] = WEBHOOK_EVENTS
    format: Literal["standard", "slack"] = "standard"
    allow_private: bool = False
    timeout_seconds: Annotated[float, Field(gt=0, le=60)] = 10.0
    attempts: Annotated[int, Field(ge=1, le=100)] = 20
    retry_seconds: Annotated[float, Field(gt=0, le=3600)] = 5.0

    @model_validator(mode="after")
    def _can_be_sent(self) -> WebhookConfig:
        try:
            parts = urlsplit(self.url)
            valid = parts.scheme in ("http", "https") and _is_host(parts) and (parts.port or 1) > 0
        except ValueError:
            valid = False
        if not valid or parts.username is not None or not self.url.isprintable() or " " in self.url:
            raise ValueError("url must be https://HOST/… without a user name")
        if parts.scheme == "http" and not self.allow_private:
            raise ValueError("url must be https://…; http is for private addresses, with allow_private = true")
        secrets = (self.secret_env is not None) + (self.secret_file is not None)
        if secrets != 1 and not (secrets == 0 and self.format == "slack"):
            raise ValueError("name the secret by one of secret_env and secret_file")
        return self


_LABEL: Final = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


def _is_host(parts: SplitResult) -> bool:
    """Whether a URL's host is an address or a name that can be looked up; dots of other scripts divide no name."""
    name = parts.hostname
    if not name or len(name) > 253 or set(name) & set("\u3002\uff0e\uff61"):
        return False
    if "[" in parts.netloc:
        ip_address(name.partition("%")[0])
        return re.fullmatch(r"\[[^\]]*\](:[0-9]*)?", parts.netloc) is not None
    plain = name if name.isascii() else name.encode("idna").decode("ascii")
    return all(_LABEL.fullmatch(label) for label in plain.removesuffix(".").split("."))


class Config(Section):
    """The whole file.

    Attributes:
        titles: whether the titles of sessions are read from their transcripts when workflows are shown.
        data: the data directory, from the file's folder on; `ledger.config.locate` reads it.
        auto_import: whether the commands that have `--no-import` import what is new before they read.
        idle_after: an open workflow without activity for so long is shown as idle; None: an hour.
    """

    data: Path | None = None
    auto_import: bool = True

    sources: tuple[SourceConfig, ...] = ()
    prices: tuple[PriceOverride, ...] = ()
    providers: dict[str, Provider] = Field(default_factory=dict)
    budgets: BudgetConfig = BudgetConfig()
    tags: tuple[TagConfig, ...] = ()
    webhooks: tuple[WebhookConfig, ...] = ()
    idle_after: Span | None = None
    titles: Annotated[bool, Field(strict=True)] = True

    @field_validator("webhooks")
    @classmethod
    def _each_once(cls, webhooks: tuple[WebhookConfig, ...]) -> tuple[WebhookConfig, ...]:
        if len({webhook.url for webhook in webhooks}) < len(webhooks):
            raise ValueError("two have the same url; name all their events in one")
        return webhooks


def load(file: Path | None) -> Config:
    """Return the configuration in a file; without a file, the defaults.

    Raises:
        InvalidConfig: it cannot be read, is not TOML, or has invalid values; every problem has its line.
    """
    if file is None:
        return Config()
    try:
        text = file.read_text(encoding="utf-8")
        values = tomllib.loads(text, parse_float=Decimal)  # so that no rate is ever a binary float
    except OSError as error:
        raise InvalidConfig(file, [(None, f"cannot be read: {reason(error)}")]) from error
    except UnicodeDecodeError as error:
        raise InvalidConfig(file, [(None, f"is not UTF-8 at byte {error.start}")]) from None
    except tomllib.TOMLDecodeError as error:
        line = re.search(r"at line ([0-9]+)", str(error))
        raise InvalidConfig(file, [(int(line[1]) if line else None, f"is not TOML: {error}")]) from None
    except RecursionError:
        raise InvalidConfig(file, [(None, "is not TOML: nested too deeply")]) from None
    try:
        config = Config.model_validate(values)
    except ValidationError as error:
        problems = [_problem(text, problem) for problem in error.errors(include_url=False)]
        raise InvalidConfig(file, sorted(problems, key=lambda problem: problem[0] or 0)) from None
    sources = tuple(_with_absolute_path(source, file.parent) for source in config.sources)
    webhooks = tuple(
        webhook
        if webhook.secret_file is None
        else webhook.model_copy(update={"secret_file": file.parent / webhook.secret_file.expanduser()})
        for webhook in config.webhooks
    )
    return config.model_copy(update={"sources": sources, "webhooks": webhooks})


def _with_absolute_path(source: SourceConfig, folder: Path) -> SourceConfig:
    """A source with `~` spelled out, and a relative path taken from the file that names it."""
    if source.path is None:
        return source
    return source.model_copy(update={"path": folder / source.path.expanduser()})


def _problem(text: str, problem: Mapping[str, Any]) -> tuple[int | None, str]:
    """The line of one thing that pydantic refused, and a sentence about it."""
    where: tuple[int | str, ...] = problem["loc"]
    names = [part for part in where if isinstance(part, str)]
    what = _PROBLEMS.get(problem["type"]) or str(problem["msg"]).removeprefix("Value error, ")
    if problem["type"] == "extra_forbidden":
        what += _near(names[-1], _keys_at(names[:-1]))
    return line_of(text, where), f"{'.'.join(names)}: {what}" if names else what


def _keys_at(names: list[str]) -> Iterable[str]:
    """The keys of the section that these names lead to."""
    sections: dict[str, type[Section]] = {
        "sources": SourceConfig,
        "prices": PriceOverride,
        "budgets": BudgetConfig,
        "tags": TagConfig,
        "webhooks": WebhookConfig,
    }
    if names == ["budgets", "period"]:
        return PeriodBudgetConfig.model_fields
    return sections[names[0]].model_fields if names else Config.model_fields


def _near(name: str, names: Iterable[str]) -> str:
    near = get_close_matches(name, list(names), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""


def line_of(text: str, where: tuple[int | str, ...]) -> int | None:
    """Return the line, from 1, that completes a path of keys: the last of the shortest beginning that has it.

    A path that does not exist (a missing key) has the line of the section that lacks it.
    """
    lines = text.splitlines(keepends=True)
    for depth in range(len(where), 0, -1):
        for count in range(1, len(lines) + 1):
            try:
                value: Any = tomllib.loads("".join(lines[:count]))
                for part in where[:depth]:
                    value = value[part]
            except (tomllib.TOMLDecodeError, LookupError, TypeError):
                continue
            return count
    return None

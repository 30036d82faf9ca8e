"""OpenTelemetry: logs, metrics and spans in the JSON mapping of OTLP, as the Collector's file exporter writes them.

Sources of the facts: https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding (integers of 64 bits are text,
ids are hexadecimal), https://opentelemetry.io/docs/specs/otel/protocol/file-exporter/ (a request per line),
https://code.claude.com/docs/en/monitoring-usage (Claude Code) and
https://opentelemetry.io/docs/specs/semconv/registry/attributes/gen-ai/ (`gen_ai.*`: input tokens include cached ones).

- `claude_telemetry` reads Claude Code's. Its metrics count the calls of its log records, and become readings of the
  session's model, the meter above those calls: the larger counts, never both.
- `gemini_telemetry` reads the records of Gemini CLI and Qwen Code, `codex_telemetry` those of Codex, and
  `litellm_telemetry` the spans of the LiteLLM proxy.
- Any other span or log record with `gen_ai.usage.*` is one call, priced by us; a lower bound where cache writes may
  have been 1-hour ones, since no attribute gives their lifetime. Spans that only sum up others (`invoke_agent` …), and
  Claude Code's and Codex's own spans, are ignored.

A server that receives OTLP hands `extract` the request as `google.protobuf.json_format.MessageToDict` gives it (ids
are then base64, which is the same id), or as parsed JSON. Only `Otlp` opens files.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any, Final

from ledger.errors import InvalidInput
from ledger.events import timestamps
from ledger.events.ids import digest
from ledger.providers.genai_semconv import (
    INPUT,
    MODEL,
    OUTPUT,
    READS,
    WRITES,
    first,
    is_lower_bound,
    is_one_call,
    known_counts,
    text,
    tier_of,
    token_count,
)
from ledger.providers.service_tiers import service_tier_of
from ledger.providers.usage import disjoint
from ledger.sources import claude_telemetry, codex_telemetry, gemini_telemetry, litellm_telemetry
from ledger.sources.claude_totals import is_short
from ledger.sources.findings import Call, Counter, Location, Options, Part, Skipped, spelled
from ledger.sources.formats.json_documents import documents, files_of
from ledger.sources.grouping import WorkflowFinding, parts_by_workflow
from ledger.sources.unknown_usage import UnknownUsage

__all__ = ["Otlp", "extract"]

KIND: Final = "otlp"

Attributes = dict[str, Any]

_REQUESTS: Final = ("resourceLogs", "resourceMetrics", "resourceSpans")
"""The fields that identify the three kinds of requests."""
_WORKFLOW: Final = ("costledger.workflow_id", "adw_id")
_SESSION: Final = ("session.id", "gen_ai.conversation.id")
_AGENT: Final = ("costledger.agent", "agent_name")
_FACTS: Final = {
    "costledger.project": "project",
    "costledger.workflow_template": "workflow_template",
    "costledger.issue_number": "issue_number",
}

_INFERENCE: Final = "gen_ai.client.inference.operation.details"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


class Otlp:
    """The source `otlp`: a file of requests, or a folder of such files."""

    def identify(self, path: Path) -> bool:
        """See `Source.identify`: the first record is a request."""
        first = next(documents(path), None) if path.is_file() else None
        return isinstance(first, tuple) and bool(set(_REQUESTS) & first[1].keys())

    def parts(self, path: Path, options: Options) -> list[Part]:
        """See `Source.parts`."""
        skipped: list[Skipped] = []
        files = files_of(path, ".jsonl", ".json", skipped=skipped)
        return parts_by_workflow(path, chain(skipped, _found(files, options)), KIND)


def _found(files: list[Path], options: Options) -> Iterator[WorkflowFinding | Skipped]:
    for path in files:
        file, unknown = spelled(path), UnknownUsage(path)
        for record in documents(path):
            if isinstance(record, Skipped):
                yield record
                continue
            line, request = record
            for name in _REQUESTS:
                if request.get(name) is not None and not isinstance(request[name], list):
                    unknown.add(line, f"{name} that is no list")
            yield from extract(request, Location(file, line), options)
        yield from unknown.skipped()


def extract(request: Mapping[str, Any], location: Location, options: Options) -> Iterator[WorkflowFinding | Skipped]:
    """Yield the calls and counters of one request to export logs, metrics or spans; anything else in it is ignored."""
    path = Path(location.file)
    for name, inner, read in (
        ("resourceLogs", "scopeLogs", _logs),
        ("resourceSpans", "scopeSpans", _spans),
        ("resourceMetrics", "scopeMetrics", _metrics),
    ):
        for of_resource in _list(request.get(name)):
            resource = _attributes(_dict(of_resource.get("resource")))
            for of_scope in _list(of_resource.get(inner)):
                try:
                    yield from read(of_scope, _Context(resource, options, location))
                except InvalidInput as error:
                    yield Skipped(path, location.line, str(error))


class _Context:
    """What all records of a request share: the resource, the caller's options, and where it was read."""

    def __init__(self, resource: Attributes, options: Options, location: Location) -> None:
        self.resource, self.options, self.location = resource, options, location
        self._skipped: Skipped | None = None

    @property
    def is_short(self) -> bool:
        """Whether this is a Claude Code whose own figures may leave a part out."""
        return is_short(self.resource.get("service.version"))

    @property
    def waits(self) -> bool:
        """Whether it may name a session at first whose cost counts in another one."""
        return claude_telemetry.names_itself_first(self.resource.get("service.version"))

    def skipped(self, error: InvalidInput) -> Skipped:
        """Return what to report of a skipped record; one object for successive records with the same reason."""
        reason = str(error)
        if self._skipped is None or self._skipped.reason != reason:
            self._skipped = Skipped(Path(self.location.file), self.location.line, reason)
        return self._skipped

    def owner(self, attributes: Attributes) -> tuple[str, str | None, str | None]:
        """Return workflow, agent and session of a record.

        Raises:
            InvalidInput: it names neither workflow nor session.
        """
        every = self.resource | attributes
        session = text(first(every, *_SESSION))
        workflow = self.options.workflow_id or text(first(every, *_WORKFLOW)) or session
        if workflow is None:
            raise InvalidInput(
                "names neither workflow nor session: set the attribute costledger.workflow_id, or say --workflow-id"
            )
        agent = self.options.agent or text(first(every, *_AGENT))
        return workflow, agent, session

    def facts(self, attributes: Attributes) -> dict[str, Any]:
        """Return the facts that a record has about its workflow."""
        every = self.resource | attributes
        given = ((field, every.get(name)) for name, field in _FACTS.items())
        facts: dict[str, Any] = {field: value for field, value in given if value not in (None, "")}
        issue = facts.get("issue_number")
        if isinstance(issue, str) and issue.isascii() and issue.isdigit() and len(issue) < 18:
            facts["issue_number"] = int(issue)
        return facts


def _logs(of_scope: dict[str, Any], context: _Context) -> Iterator[WorkflowFinding | Skipped]:
    scope = str(_dict(of_scope.get("scope")).get("name", ""))
    for record in _list(of_scope.get("logRecords")):
        try:
            found = _log_record(scope, record, context)
        except InvalidInput as error:
            yield context.skipped(error)
        else:
            if found is not None:
                yield found


def _log_record(scope: str, record: dict[str, Any], context: _Context) -> WorkflowFinding | None:
    """The call that a log record is, by the event's name and its client; None when it is none."""
    attributes = _attributes(record)
    names = [record.get("eventName"), attributes.get("event.name"), _dict(record.get("body")).get("stringValue")]
    moment = _moment(record.get("timeUnixNano")) or _moment(record.get("observedTimeUnixNano"))
    moment = moment or _iso(attributes.get("event.timestamp"))
    if codex_telemetry.is_own(attributes):
        return _codex(attributes, moment, context)
    if claude_telemetry.is_request(scope, names):
        return _api_request(attributes, moment, context)
    if context.waits and claude_telemetry.shows_a_prompt(scope, names):
        return _prompt(attributes, moment, context)
    if gemini_telemetry.is_own(scope, names):
        return _gemini(names, attributes, _iso(attributes.get("event.timestamp")) or moment, context)
    if is_one_call(attributes):
        span = _span_id(record)
        whole = _INFERENCE in names  # it is written in the very span of the call; others may share theirs
        return _gen_ai(attributes, moment, span if whole else None, context)
    return None


def _spans(of_scope: dict[str, Any], context: _Context) -> Iterator[WorkflowFinding | Skipped]:
    scope = str(_dict(of_scope.get("scope")).get("name", ""))
    for span in _list(of_scope.get("spans")):
        attributes = _attributes(span)
        failed = _dict(span.get("status")).get("code") in (2, "2", "STATUS_CODE_ERROR")
        if not is_one_call(attributes, failed=failed) or str(span.get("name", "")).startswith("claude_code."):
            continue
        if gemini_telemetry.is_repeated_by_logs(scope, attributes) or codex_telemetry.repeats_a_call(attributes):
            continue
        moment, trace = _moment(span.get("endTimeUnixNano")), _hexadecimal(span.get("traceId"), 16)
        facts = litellm_telemetry.facts_of(attributes, trace)
        try:
            yield _gen_ai(known_counts(scope, attributes), moment, _span_id(span), context, facts)
        except InvalidInput as error:
            yield context.skipped(error)


def _api_request(attributes: Attributes, moment: str | None, context: _Context) -> WorkflowFinding:
    workflow, agent, session = context.owner(attributes)
    uncached, output = token_count(attributes, "input_tokens"), token_count(attributes, "output_tokens")
    writes, reads = token_count(attributes, "cache_creation_tokens"), token_count(attributes, "cache_read_tokens")
    usage = disjoint(uncached + writes + reads, writes, reads, output)
    model, cost = text(attributes.get("model")), attributes.get("cost_usd")
    sequence = attributes.get("event.sequence")
    request = text(attributes.get("request_id"))
    native = request or digest(KIND, "api_request", session, sequence, moment, model, cost, *sorted(usage.items()))
    if lasting := min(token_count(attributes, "cache_creation_1h_tokens"), writes):
        usage["cache_write_1h_tokens"] = lasting
    tier = "fast" if attributes.get("speed") == "fast" else None
    call = Call(
        KIND,
        native,
        model,
        usage,
        context.location,
        agent or claude_telemetry.AGENT,
        session,
        cost,
        moment,
        tier,
        partial=context.is_short,
        names=(request,) if request else (),  # the transcript's `requestId`
        subagent=text(attributes.get("agent.name")),
        client=True,
        waits=context.waits,
    )
    return WorkflowFinding(workflow, call, context.facts(attributes))


def _prompt(attributes: Attributes, moment: str | None, context: _Context) -> WorkflowFinding:
    workflow, agent, session = context.owner(attributes)
    native, agent = claude_telemetry.prompt_id(session), agent or claude_telemetry.AGENT
    where = (context.location, agent, session, None, moment)
    prompt = Call(KIND, native, None, None, *where, partial=True, client=True, prompt=True)
    return WorkflowFinding(workflow, prompt)


def _codex(attributes: Attributes, moment: str | None, context: _Context) -> WorkflowFinding | None:
    shown_call = codex_telemetry.shown_by(attributes, moment)
    if shown_call is None:
        return None
    # `agent_name` is a tool's caller, as named by the user.
    ours = {key: value for key, value in attributes.items() if key != "agent_name"}
    workflow, agent, session = context.owner(ours | {"session.id": shown_call.session})
    at, agent = _iso(attributes.get("event.timestamp")) or moment, agent or codex_telemetry.AGENT
    native, model, usage = shown_call.native_id, shown_call.model, shown_call.usage
    call = Call(
        KIND, native, model, usage, context.location, agent, session, None, at, partial=shown_call.partial, client=True
    )
    return WorkflowFinding(workflow, call, context.facts(attributes))


def _gemini(names: list[Any], attributes: Attributes, moment: str | None, context: _Context) -> WorkflowFinding | None:
    session = text(first(context.resource | attributes, *_SESSION))
    answer = gemini_telemetry.answer_of(names, attributes, session, moment)
    if answer is None:
        return None
    workflow, agent, session = context.owner(attributes)
    where = (context.location, agent or gemini_telemetry.AGENT, session)
    call = Call(KIND, *answer[:3], *where, None, moment, None, answer.partial, names=answer.names, client=True)
    return WorkflowFinding(workflow, call, context.facts(attributes))


def _gen_ai(
    attributes: Attributes,
    moment: str | None,
    span: str | None,
    context: _Context,
    facts: litellm_telemetry.Facts | None = None,
) -> WorkflowFinding:
    facts = facts or litellm_telemetry.Facts(None, None, None, partial=False, names={})
    attributes = facts.names | attributes
    workflow, agent, session = context.owner(attributes)
    agent = agent or text(attributes.get("gen_ai.agent.name"))
    whole, output, reads, writes = (token_count(attributes, *names) for names in (INPUT, OUTPUT, READS, WRITES))
    usage = facts.usage or disjoint(whole, writes, reads, output)
    model = facts.model or text(first(attributes, *MODEL))
    native = text(first(attributes, "gen_ai.response.id", "request_id")) or span
    native = native or digest(KIND, "call", session, moment, model, *sorted(usage.items()))
    tier = service_tier_of(text(tier_of(attributes)))
    cost, lower = facts.cost_usd, facts.partial
    lower |= cost is None and facts.usage is None and is_lower_bound(attributes, model, writes)
    call = Call(KIND, native, model, usage, context.location, agent, session, cost, moment, tier, lower)
    return WorkflowFinding(workflow, call, context.facts(attributes))


def _metrics(of_scope: dict[str, Any], context: _Context) -> Iterator[WorkflowFinding | Skipped]:
    """The counters of a request: a series' cost and its token counts of the same moment together."""
    series: claude_telemetry.Series = {}
    prompts: dict[str, tuple[Attributes, str | None]] = {}
    for metric in _list(of_scope.get("metrics")):
        name, total = str(metric.get("name")), _dict(metric.get("sum"))
        for point in _list(total.get("dataPoints")):
            attributes = _attributes(point)
            if name == claude_telemetry.ONLY_AFTER_A_PROMPT and context.waits:
                prompts.setdefault(str(attributes.get("session.id")), (attributes, _moment(point.get("timeUnixNano"))))
            claude_telemetry.add_point(series, name, attributes, point, total.get("aggregationTemporality"))
    prompted = (partial(_prompt, attributes, moment, context) for attributes, moment in prompts.values())
    counted = (partial(_counter, key, points, context) for key, points in series.items())
    for found in chain(prompted, counted):
        try:
            yield found()
        except InvalidInput as error:
            yield context.skipped(error)


def _counter(key: tuple[Any, ...], points: dict[str, Any], context: _Context) -> WorkflowFinding:
    attributes, values = points["attributes"], points["usage"]
    workflow, agent, session = context.owner(attributes)
    cost = values.pop("", None)
    usage = {bucket: token_count(values, bucket) for bucket in values}
    series = digest(KIND, "series", *key)
    model, moment = text(attributes.get("model")), _moment(points["at"])
    agent = agent or claude_telemetry.AGENT
    where = (context.location, agent, session, cost, moment, context.is_short)
    counter = Counter(KIND, series, model, usage or None, *where, client=True, waits=context.waits)
    return WorkflowFinding(workflow, counter, context.facts(attributes))


def _attributes(owner: dict[str, Any]) -> Attributes:
    """Attributes with a plain value, by name; the last of a name counts."""
    found: Attributes = {}
    for attribute in _list(owner.get("attributes")):
        value = _dict(attribute.get("value"))
        for kind in ("stringValue", "intValue", "doubleValue", "boolValue"):
            if isinstance(value.get(kind), str | int | float):
                found[str(attribute.get("key"))] = value[kind]
    return found


def _span_id(record: dict[str, Any]) -> str | None:
    """The span that a record is, or was written in, as `trace:span`; None when it has none."""
    trace, span = _hexadecimal(record.get("traceId"), 16), _hexadecimal(record.get("spanId"), 8)
    return f"{trace}:{span}" if trace and span else None


def _hexadecimal(value: Any, size_bytes: int) -> str | None:
    """An id as OTLP/JSON spells it; protobuf's own JSON mapping spells it in base64."""
    if not isinstance(value, str) or not value:
        return None
    if len(value) == 2 * size_bytes:
        return value.lower()
    try:
        raw = base64.b64decode(value, validate=True)
    except (binascii.Error, ValueError):
        return value
    return raw.hex() if len(raw) == size_bytes else value


def _moment(nanoseconds: Any) -> str | None:
    """A time of OTLP, nanoseconds since 1970 as text or number; None for 0 or anything else."""
    try:
        count = int(nanoseconds)
        return timestamps.to_wire(_EPOCH + timedelta(microseconds=count // 1000)) if count > 0 else None
    except (TypeError, ValueError, OverflowError):
        return None


def _iso(value: Any) -> str | None:
    try:
        return timestamps.parse(value)
    except ValueError:
        return None


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _list(value: Any) -> list[dict[str, Any]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []

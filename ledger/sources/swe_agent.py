"""Trajectories of SWE-agent, `trajectories/**/<instance>.traj`, and of mini-swe-agent, `*.traj.json`.

Source of the format: SWE-agent/SWE-agent, `sweagent/agent/agents.py` and `models.py`; SWE-agent/mini-swe-agent,
`src/minisweagent/agents/default.py` and `run/utils/save.py`; observed in trajectories of benchmarks of 2024 and later:

- a file is one run at an instance. It is written again after each step, with what the run cost so far;
- `instance_cost` is the run's. `total_cost` continues over the runs of a batch, and is not taken;
- `tokens_sent` includes cached input, in an unknown part. So a run with a cost of 0 is not priced from its tokens: it
  was replayed, or its model has no price there;
- the model is in mini-swe-agent's configuration, or in SWE-agent's `replay_config`, which is JSON in a string;
- nothing names a run: not even its file, `last_mini_run.traj.json`. Copies of it share, and other runs do not, the
  duration of its first step (from SWE-agent 1.0), or the moment or response id of the first answer (mini-swe-agent).
  Older runs are known by their instance, their folder and the content of their first step;
- SWE-agent names no moment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import orjson

from ledger.events.ids import digest
from ledger.sources.findings import file_time
from ledger.sources.names import name
from ledger.sources.session_log import LogReading, SessionLog, call, count, dollars, items, mapping, unix_moment, used
from ledger.sources.transcript import TranscriptMessage

__all__ = ["SweAgentRuns"]

_SUFFIXES: Final = {"swe-agent": ".traj", "mini-swe-agent": ".traj.json"}


class SweAgentRuns(SessionLog):
    """The logs `swe-agent` and `mini-swe-agent`."""

    ignored = frozenset({"node_modules", ".git", ".venv"})

    def is_log(self, path: str) -> bool:
        """See `SessionLog.is_log`."""
        return path.endswith(_SUFFIXES[self.kind])

    def recognises(self, log: LogReading) -> bool:
        """See `SessionLog.recognises`."""
        run = mapping(log.document())
        if self.kind == "mini-swe-agent":
            return str(run.get("trajectory_format")).startswith(self.kind)
        return isinstance(run.get("trajectory"), list) and isinstance(run.get("info"), dict)

    def extract(self, log: LogReading) -> None:
        """See `SessionLog.extract`."""
        run = mapping(log.document())
        info = mapping(run.get("info"))
        id, session_id = self._ids(log, run)
        moments = sorted(filter(None, (_moment_of(message) for message in items(run.get("messages")))))
        moments = moments or [file_time(log.path).spent_at or ""]
        log.begin(session_id, moments[0], _folder_of(mapping(info.get("config"))))
        log.add(1, _run, id, session_id, info, run.get("replay_config"), moments[-1])

    def _ids(self, log: LogReading, run: Mapping[str, Any]) -> tuple[str, str]:
        """The id of a run, and what its session is called: its instance, and a part of the id."""
        instance = name(log.path.name.removesuffix(".json").removesuffix(".traj")) or "run"
        mark = _mark_of(run)
        if not mark:
            folder = next((each.name for each in log.path.absolute().parents if each.name != instance), "")
            mark = f"{folder}/{instance} {_text(next(iter(items(run.get('trajectory'))), {}))}"
        id = digest(self.kind, "run", mark)
        return id, f"{instance}-{id[:8]}"


def _mark_of(run: Mapping[str, Any]) -> str:
    """What distinguishes a run from all others; "" for an older one."""
    step = next(iter(items(run.get("trajectory"))), {})
    if isinstance(step.get("execution_time"), float) and step["execution_time"]:
        return f"{step['execution_time']!r} {step.get('response')}"
    answer = next((each for each in items(run.get("messages")) if each.get("role") == "assistant"), {})
    response = name(mapping(mapping(answer.get("extra")).get("response")).get("id"))
    return response or _moment_of(answer)


def _text(step: Mapping[str, Any]) -> str:
    return " ".join(str(step.get(part)) for part in ("response", "action"))


def _moment_of(message: Mapping[str, Any]) -> str:
    return unix_moment(mapping(message.get("extra")).get("timestamp", message.get("timestamp")))


def _folder_of(config: Mapping[str, Any]) -> str:
    """The folder of a run that worked on this machine; "" for one in a container."""
    folder = name(mapping(config.get("environment")).get("cwd"))
    return folder if "local" in str(config.get("environment_type")).lower() and folder.startswith("/") else ""


def _run(id: str, session_id: str, info: Mapping[str, Any], replay: object, at: str) -> TranscriptMessage | None:
    """What a run used and cost so far; None for one that made no call."""
    stats = mapping(info.get("model_stats"))
    nanousd = dollars(stats.get("instance_cost"))
    return call(
        id,
        session_id,
        _model_of(info, replay) if nanousd else None,
        used(stats.get("tokens_sent"), stats.get("tokens_received")),
        at,
        nanousd=nanousd,
        partial=nanousd is None,
        unknown=count(stats.get("api_calls")) > 0,
    )


def _model_of(info: Mapping[str, Any], replay: object) -> object:
    model = mapping(mapping(info.get("config")).get("model")).get("model_name")
    if model is not None or not isinstance(replay, str):
        return model
    try:
        config = mapping(orjson.loads(replay))
    except orjson.JSONDecodeError:
        return None
    return mapping(mapping(config.get("agent")).get("model")).get("name")

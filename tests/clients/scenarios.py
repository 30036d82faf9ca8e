"""The scenarios: what a user does with a client, in the words of `Stage`; one table for all clients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from tests.clients.stage import Stage, Turn

__all__ = ["SCENARIOS", "Scenario"]


@dataclass(frozen=True, slots=True)
class Scenario:
    """One row of the table.

    Attributes:
        needs: abilities without which a client cannot play it.
    """

    name: str
    sentence: str
    play: Callable[[Stage], None]
    needs: frozenset[str] = frozenset()


def _new(stage: Stage) -> None:
    stage.turn("Say hello")


def _tools(stage: Stage) -> None:
    stage.turn("USE_BASH TWICE please")


def _subagents(stage: Stage) -> None:
    stage.turn("USE_TASK TASKS_2 please")


def _resume(stage: Stage) -> None:
    session = stage.turn("USE_BASH first")
    stage.turn("USE_BASH second", "resume", session)
    stage.turn("third", "resume", session)


def _continue(stage: Stage) -> None:
    stage.turn("USE_BASH first")
    stage.turn("second", "continue")


def _fork(stage: Stage) -> None:
    session = stage.turn("USE_BASH first")
    stage.turn("USE_BASH in the fork", "fork", session)
    stage.turn("the parent goes on", "resume", session)


def _compact(stage: Stage) -> None:
    session = stage.turn("USE_BASH first")
    stage.turn("/compact", "resume", session)
    stage.turn("after it", "resume", session)


def _auto_compact(stage: Stage) -> None:
    session = stage.turn("USE_BASH first")
    stage.turn("BIG_CONTEXT USE_BASH over the limit", "resume", session)
    stage.turn("after it", "resume", session)


def _search(stage: Stage) -> None:
    stage.turn("USE_SEARCH please")


def _rate_limit(stage: Stage) -> None:
    stage.turn("ERR429 then an answer")


def _overloaded(stage: Stage) -> None:
    stage.turn("ERR529 then an answer")


def _dropped(stage: Stage) -> None:
    stage.turn("DROP then an answer")


def _killed(stage: Stage) -> None:
    session = stage.turn("USE_BASH first")
    stage.killed("USE_BASH SLOW and killed", "resume", session)
    stage.turn("after the kill", "resume", session)


def _long_context(stage: Stage) -> None:
    stage.turn("BIG_CONTEXT USE_BASH please")


def _lifetimes(stage: Stage) -> None:
    session = stage.turn("CACHE_5M USE_BASH please")
    stage.turn("CACHE_1H USE_BASH please", "resume", session)
    stage.turn("CACHE_NONE please", "resume", session)


def _two_processes(stage: Stage) -> None:
    session = stage.turn("USE_BASH first")
    stage.together(Turn("USE_BASH TWICE left", "resume", session), Turn("USE_BASH TWICE right", "resume", session))


def _terminal(stage: Stage) -> None:
    terminal = stage.terminal()
    stage.type(terminal, "USE_BASH first")
    stage.type(terminal, "second")
    stage.leave(terminal)


def _clear(stage: Stage) -> None:
    terminal = stage.terminal()
    stage.type(terminal, "USE_BASH first")
    stage.type(terminal, "/clear", asks=False)
    stage.type(terminal, "after the clear")
    stage.leave(terminal)


def _compact_typed(stage: Stage) -> None:
    terminal = stage.terminal()
    stage.type(terminal, "USE_BASH first")
    stage.type(terminal, "/compact")
    stage.type(terminal, "after it")
    stage.leave(terminal)


def _two_terminals(stage: Stage) -> None:
    first = stage.terminal()
    stage.type(first, "USE_BASH first")
    stage.leave(first)
    session = stage.last_session()
    left, right = stage.terminal(session), stage.terminal(session)
    stage.type(left, "left")
    stage.type(right, "USE_BASH right")
    stage.type(left, "USE_BASH left again")
    stage.leave(left)
    stage.leave(right)


def _program(*words: str) -> Callable[[Stage], None]:
    """What a program does by the words in its prompt (`programs`); a workflow goes on in a second process."""

    def play(stage: Stage) -> None:
        session = stage.turn(f"{words[0]} please")
        for word in words[1:]:
            stage.turn(f"{word} please", "resume", session)

    return play


_FORK, _TERMINAL = frozenset({"fork"}), frozenset({"terminal"})
_AUTO = frozenset({"auto-compact"})

_TABLE: Final = (
    Scenario("new", "one prompt, one answer", _new),
    Scenario("tools", "an answer after two rounds of tools", _tools),
    Scenario("sub-agents", "two sub-agents at once", _subagents, frozenset({"sub-agents"})),
    Scenario("resume", "a session goes on in two more processes", _resume),
    Scenario("continue", "the last session goes on", _continue, frozenset({"continue"})),
    Scenario("fork", "a session is forked, and its parent goes on", _fork, _FORK),
    Scenario("compact", "a session is compacted without a terminal, and goes on", _compact, frozenset({"compact"})),
    Scenario("auto-compact", "a session that is compacted by itself, and goes on", _auto_compact, _AUTO),
    Scenario("web-search", "a web search", _search, frozenset({"web-search"})),
    Scenario("429", "refused twice with 429, then answered", _rate_limit),
    Scenario("529", "refused twice with 529, then answered", _overloaded),
    Scenario("dropped", "a stream that breaks, and is asked for again", _dropped),
    Scenario("kill", "killed in the middle of a stream, and resumed", _killed),
    Scenario("long-context", "more than 200,000 tokens of context", _long_context),
    Scenario("cache-lifetimes", "cache writes for 5 minutes, for an hour, none", _lifetimes),
    Scenario("two-processes", "a session is resumed by two processes at once", _two_processes),
    Scenario("terminal", "two prompts at a terminal", _terminal, _TERMINAL),
    Scenario("clear", "/clear at a terminal", _clear, _TERMINAL),
    Scenario("compact-terminal", "/compact at a terminal", _compact_typed, frozenset({"terminal", "compact"})),
    Scenario("stream", "streams with tools", _program("STREAM", "STREAM USE_BASH"), frozenset({"stream"})),
    Scenario("events", "streams that are read event by event", _program("EVENTS"), frozenset({"events"})),
    Scenario("left", "a stream that is left before its end", _program("LEFT"), frozenset({"left"})),
    Scenario("threads", "four threads, with tools", _program("THREADS USE_BASH"), frozenset({"threads"})),
    Scenario("asyncio", "four tasks, each with a stream", _program("ASYNC"), frozenset({"asyncio"})),
    Scenario("structured", "answers that the SDK parses", _program("STRUCTURED"), frozenset({"structured"})),
    Scenario("raw", "raw responses", _program("RAW USE_BASH"), frozenset({"raw"})),
    Scenario("runner", "the SDK calls the tools itself", _program("RUNNER USE_BASH TWICE"), frozenset({"runner"})),
    Scenario("batch", "a batch, whose results are charged", _program("BATCH"), frozenset({"batch"})),
    Scenario("tiers", "service tiers: flex, priority", _program("TIERS"), frozenset({"tiers"})),
    Scenario("fast", "fast mode", _program("FAST"), frozenset({"fast"})),
    Scenario("region", "inference in one region only", _program("REGION"), frozenset({"region"})),
    Scenario("compaction", "compaction by the API", _program("COMPACTED"), frozenset({"server-compaction"})),
    Scenario("two-terminals", "a session at two terminals at once", _two_terminals, _TERMINAL),
)

SCENARIOS: Final = {scenario.name: scenario for scenario in _TABLE}

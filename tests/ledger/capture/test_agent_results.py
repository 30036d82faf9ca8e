"""Results of Claude's agents: each adds to its session what it cost, and never more than the truth."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock, Mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger import MemoryStore, workflow
from ledger.capture.workflow import Workflow
from ledger.errors import ConflictingEvent, InvalidEvent, InvalidInput
from ledger.events.event import Line, workflow_started
from projections.folding.explain import steps
from projections.replay.refresh import project

SONNET, HAIKU = "claude-sonnet-4-5-20250929", "claude-haiku-4-5-20251001"


@dataclass
class ResultMessage:
    """As the Claude Agent SDK's of 0.2, with the fields that matter here."""

    session_id: str
    total_cost_usd: float | None = None
    usage: dict[str, Any] | None = None
    model_usage: dict[str, Any] | None = None
    uuid: str | None = None
    subtype: str = "success"
    is_error: bool = False
    num_turns: int = 1
    duration_ms: int = 1
    result: str | None = None


@dataclass
class Client:
    """A Claude Code with a known truth: the cost of each prompt, and what it reports.

    Args:
        modern: a resumed process goes on from the total of the earlier one.
        exact: its results say what they add.
    """

    modern: bool = False
    exact: bool = False
    total: dict[str, dict[str, Any]] = field(default_factory=dict)
    spent: Decimal = Decimal()
    results: int = 0

    def ask(self, output: int, *, helper: int = 0, of: str = HAIKU, session: str = "s-1") -> dict[str, Any]:
        """The result of one prompt, as its line; its `usage` leaves out what a helper of any model used."""
        self.results += 1
        if of == SONNET:
            own = {SONNET: model_usage(output + helper, 15)}
        else:
            own = {SONNET: model_usage(output, 15)} | ({HAIKU: model_usage(helper, 5)} if helper else {})
        for name, counts in own.items():
            had = self.total.get(name, {})
            self.total[name] = {key: count + had.get(key, 0) for key, count in counts.items()}
        cost = sum(Decimal(str(counts["costUSD"])) for counts in own.values())
        self.spent += cost
        total = sum(Decimal(str(counts["costUSD"])) for counts in self.total.values())
        mark = {"thinkingTokens": 0} if self.modern else {}
        line = {
            "type": "result",
            "session_id": session,
            "uuid": f"{id(self)}-{self.results}",
            "total_cost_usd": float(total),
            "num_turns": 1,
            "usage": {"input_tokens": 0, "output_tokens": output},
            "modelUsage": {name: counts | mark for name, counts in self.total.items()},
        }
        return line | ({"model_usage_since_last_result": own} if self.exact else {})

    def resume(self) -> None:
        """A new process of the session, or of one that is forked from it."""
        if not self.modern:
            self.total = {}


def model_usage(output: int, usd_per_mtok: int) -> dict[str, Any]:
    return {"inputTokens": 0, "outputTokens": output, "costUSD": float(Decimal(output * usd_per_mtok) / 10**6)}


def message(line: dict[str, Any]) -> ResultMessage:
    """A line as the SDK gives it: it leaves `model_usage_since_last_result` out."""
    names = ("session_id", "total_cost_usd", "usage", "uuid", "num_turns")
    return ResultMessage(**{name: line[name] for name in names}, model_usage=line["modelUsage"])


def charged(answers: Sequence[object], store: MemoryStore | None = None, name: str = "w") -> tuple[str, str | None]:
    """The cost and basis of a workflow that charged these."""
    store = store or MemoryStore()
    with workflow(name, store=store) as wf:
        for answer in answers:
            wf.charge(answer, agent="build")
    row = project(store, name).row
    return str(row.actual_cost_total), row.cost_basis


def readings(store: MemoryStore) -> list[Line]:
    return [line for line in store.read("w") if line["type"] == "cost_observed"]


def test_a_result_is_what_its_session_shows_with_its_models_below() -> None:
    store = MemoryStore()
    Workflow("w", store).charge(message(Client().ask(1000, helper=200)), agent="build")
    session = [line for line in readings(store) if "model" not in line]
    models = {line["model"]: (line["cost_usd"], line["usage"]) for line in readings(store) if "model" in line}
    assert [(line["session_id"], line["agent"], line["cost_usd"]) for line in session] == [("s-1", "build", "0.016")]
    assert models == {SONNET: ("0.015", {"output_tokens": 1000}), HAIKU: ("0.001", {"output_tokens": 200})}
    assert not any(line.get("final") or line.get("partial") for line in readings(store))
    assert {line["cost_source"] for line in readings(store)} == {"reported"}


@pytest.mark.parametrize("form", [dict, message])
def test_results_of_one_session_are_cumulative_and_one_charged_twice_is_one(form: Any) -> None:
    client = Client()
    answers = [form(client.ask(1000)), form(client.ask(200, helper=100)), form(client.ask(300))]
    assert charged([answers[0], *answers, *answers]) == ("0.023", "reported")


def test_a_result_that_is_charged_again_by_another_process_is_the_same_event() -> None:
    store, answer = MemoryStore(), Client().ask(1000)
    first, again = (Workflow("w", store).charge(answer, agent="build") for _ in range(2))
    assert (first.duplicate, again.duplicate, first.seq) == (False, True, again.seq)
    with pytest.raises(ConflictingEvent):
        Workflow("w", store).charge(answer, agent="another")


def test_a_total_without_models_that_grows_is_the_highest_and_a_lower_bound() -> None:
    """It may be of the same process, or of another that began at zero."""
    answers = [ResultMessage("s-1", total_cost_usd=cost, uuid=str(cost)) for cost in (0.1, 0.25)]
    assert charged(answers) == ("0.25", "partial")
    assert charged(answers[:1]) == ("0.1", "reported")


@pytest.mark.parametrize("first", [0.25, 0.1])
def test_two_totals_of_a_session_in_either_order_are_the_highest(first: float) -> None:
    answers = [ResultMessage("s-1", total_cost_usd=cost, uuid=str(cost)) for cost in (first, 0.35 - first)]
    assert charged(answers) == ("0.25", "partial")


def test_sessions_add_up_and_so_do_the_agents_of_one_session() -> None:
    store, client = MemoryStore(), Client()
    with workflow("w", store=store) as wf:
        wf.charge(client.ask(1000), agent="plan")
        wf.charge(client.ask(200), agent="build")
        wf.charge(Client().ask(100, session="s-2"), agent="build")
    row = project(store, "w").row
    assert (str(row.actual_cost_total), row.cost_basis) == ("0.0195", "reported")
    agents = {line["agent"]: line["cost_usd"] for line in readings(store) if line["session_id"] == "s-1"}
    assert agents == {"plan": "0.015", "build": "0.003"}


def test_a_result_that_says_what_it_adds_is_exact_in_a_resumed_process_a_fork_and_another_workflow() -> None:
    client, store = Client(modern=True, exact=True), MemoryStore()
    first, second = client.ask(1000), client.ask(200)
    client.resume()
    third, fork = client.ask(300), client.ask(400, session="s-2")
    assert charged([first, second, third], store, "w") == ("0.0225", "reported")
    assert charged([fork], store, "w") == ("0.0285", "reported")
    assert charged([third], store, "another") == ("0.0045", "reported")


def test_a_first_result_whose_total_may_go_back_is_priced_by_its_own_tokens_as_a_lower_bound() -> None:
    client = Client(modern=True)
    client.ask(1000)
    client.resume()
    second, third = message(client.ask(200)), message(client.ask(300))
    assert charged([second]) == ("0.003", "partial")
    assert charged([second, third]) == ("0.0075", "partial")


def test_results_after_a_start_that_did_not_end_are_lower_bounds_and_explain_why() -> None:
    """A killed process reports nothing of its last query; a run that ended, and metadata of an import, lose nothing."""
    client, store = Client(exact=True), MemoryStore()
    with workflow("w", store=store) as wf:
        wf.charge(client.ask(1000))
    store.append([workflow_started("w", project="shop", source={"kind": "import"})])
    with workflow("w", store=store) as wf:
        wf.charge(client.ask(200))
    assert project(store, "w").row.cost_basis == "reported"
    killed = workflow("w", store=store).start()
    killed.charge(client.ask(300))
    client.ask(400)  # in the middle of which it is killed
    with workflow("w", store=store) as wf:
        for answer in [client.ask(500)] * 2:
            wf.charge(answer)
    row = project(store, "w").row
    assert (row.actual_cost_nanousd, row.cost_basis) == (30_000_000, "partial")
    assert (
        "had begun before and not ended"
        in [step.why for step in steps(store.read("w").typed_chunks()) if step.to_nanousd][-1]
    )
    with workflow("w", store=store) as wf:
        wf.charge(client.ask(100, session="s-2"))
    assert not readings(store)[-1].get("partial"), "the next run began and ended as it should"
    assert project(store, "w").row.cost_basis == "partial", "and what the killed one lost is still missing"
    wf.correct(cost_usd="0.0375", reason="the console says so")
    assert project(store, "w").row.cost_basis == "reported"


prompts = st.lists(
    st.tuples(
        st.integers(1, 5000),
        st.sampled_from([0, 0, 100, 9000]),
        st.sampled_from([HAIKU, SONNET]),
        st.booleans(),
        st.sampled_from(["s-1", "s-2"]),
    ),
    min_size=1,
    max_size=6,
)


@given(prompts, st.booleans(), st.booleans(), st.randoms(use_true_random=False))
def test_whatever_is_asked_and_charged_the_row_is_the_truth_or_below_it_and_says_so(
    prompts: list[tuple[int, int, str, bool, str]], modern: bool, exact: bool, random: Any
) -> None:
    """Processes that are resumed and forked, results charged twice and in another order."""
    client, answers = Client(modern=modern, exact=modern and exact), []
    truth = Decimal()
    for output, helper, of, resumed, session in prompts:
        if resumed:
            client.resume()
        before = client.spent
        line = client.ask(output, helper=helper, of=of, session=session if modern and exact else "s-1")
        if random.random() < 0.8:
            truth += client.spent - before
            answers.append(line if random.random() < 0.5 or client.exact else message(line))
    if random.random() < 0.3:
        random.shuffle(answers)
    if not answers:
        return
    store = MemoryStore()
    with workflow("w", store=store) as wf:
        for answer in [*answers, answers[0]]:
            wf.charge(answer)
    row = project(store, "w").row
    cost = Decimal(str(row.actual_cost_total))
    spent_by_others = client.spent - truth  # of results that were not charged, and whose cost later totals may include
    assert cost <= truth + spent_by_others
    if client.exact:
        assert (cost, row.cost_basis) == (truth, "reported")
    elif cost < truth:
        assert row.cost_basis == "partial"


@dataclass
class AssistantMessage:
    """As the Claude Agent SDK's: it repeats the usage that its response began with."""

    usage: dict[str, int]
    parent_tool_use_id: str | None = None
    model: str = SONNET


WRONG: dict[str, object] = {
    "a text": "an answer",
    "a number": 7,
    "a stream": iter([{"type": "message_start"}]),
    "an empty object": {},
    "an empty usage": {"usage": {}},
    "a usage of nothing": {"usage": {"input_tokens": None, "output_tokens": None}},
    "a usage of another kind": {"usage": {"tokens": 5}},
    "an object with attributes": SimpleNamespace(text="hello", cost=0.5),
    "an object with any attribute": Mock(),
    "one that can do anything": MagicMock(),
    "a message of an agent": AssistantMessage({"input_tokens": 5, "output_tokens": 1}),
    "its line": {"type": "assistant", "message": {"usage": {"input_tokens": 5, "output_tokens": 1}}},
    "a result without a cost": asdict(ResultMessage("s-1")) | {"type": "result"},
    "a result without a session": {"type": "result", "total_cost_usd": 0.5},
    "a result whose cost is none": ResultMessage("s-1", total_cost_usd=float("nan")),
    "a result whose models are none": {"type": "result", "session_id": "s", "modelUsage": {"m": {"costUSD": "x"}}},
    "a result whose count is none": {
        "type": "result",
        "session_id": "s",
        "total_cost_usd": 1,
        "modelUsage": {"m": {"inputTokens": "many"}},
    },
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_not_understood_is_refused_and_leaves_nothing(name: str) -> None:
    store = MemoryStore()
    with pytest.raises(InvalidEvent):
        Workflow("w", store).charge(WRONG[name])
    assert list(store.workflow_ids()) == []


def test_a_refusal_names_the_kind_and_what_is_taken() -> None:
    with pytest.raises(InvalidEvent, match=r"no usage in 'list_iterator'.*Anthropic, OpenAI, Gemini or LiteLLM"):
        Workflow("w", MemoryStore()).charge(iter([]))
    with pytest.raises(InvalidEvent, match=r"'AssistantMessage' is not finished: charge the ResultMessage"):
        Workflow("w", MemoryStore()).charge(WRONG["a message of an agent"])


@pytest.mark.parametrize("given_", [{"cost_usd": "1"}, {"model": "m"}, {"message_id": "m"}, {"session_id": "s"}])
def test_a_result_says_itself_what_it_cost_and_of_what(given_: dict[str, Any]) -> None:
    with pytest.raises(InvalidInput, match="has this field itself"):
        Workflow("w", MemoryStore()).charge(Client().ask(10), **given_)


def test_results_of_real_resumed_and_forked_sessions_sum_up_to_the_truth(shared_data: Path) -> None:
    folder = shared_data / "clients" / "claude-code-2.1.332" / "streams" / "resume"
    files = [folder / f"{name}.jsonl" for name in ("a1", "a2", "a3", "f1")]
    lines = [json.loads(line) for file in files for line in file.read_text().splitlines() if '"type":"result"' in line]
    assert len(lines) == len(files)
    assert charged(lines) == ("0.13389855", "reported")  # the fork's total, which goes on from the others'
    assert charged([message(line) for line in lines[:3]])[0] == "0.08410365"

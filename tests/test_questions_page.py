"""docs/questions.md: its answers are those of the commands and of their routes, and add up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from docs import questions
from docs.question_answers import nanousd
from docs.questions import Question
from tests.conftest import PROJECT
from tests.projections.server.conftest import Here
from tests.waiting import until

PAGES = ("spend", "top", "daily", "weekly", "monthly", "session")
"""Commands whose documents have a total."""

FILTERS = ("--where", "--since", "--until")


class Asked(NamedTuple):
    """What the commands print, and what the routes answer; None of a question without a GET."""

    printed: list[tuple[Question, Any]]
    routed: list[Any]
    total_after: int

    def of(self, command: str) -> Any:
        """Return the document of a command."""
        return next(document for question, document in self.printed if question.command == command)


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """Ask the routes, then the commands: the last of them change something."""
    data = tmp_path_factory.mktemp("questions") / "weeks"
    questions.make_data(data)
    server = Here(data)

    def routed(path: str) -> Any:
        answer = server.client.get(path)
        assert answer.is_success, (path, answer.text)
        return answer.json()

    try:
        until(lambda: routed("/api/health")["ready"], bool)
        documents = [routed(each.route) if each.route.startswith("/") else None for each in questions.questions()]
        printed = list(zip(questions.questions(), questions.ask(data), strict=True))
        yield Asked(printed, documents, nanousd(routed("/api/spend")["total"]["cost_usd"]))
    finally:
        server.stop()


def test_the_page_shows_what_the_commands_answer(asked: Asked) -> None:
    written = (PROJECT / "docs" / "questions.md").read_text(encoding="utf-8")
    assert questions.page([document for _, document in asked.printed]) == written, "run: python -m docs.questions"


def test_a_route_answers_as_its_command_does(asked: Asked) -> None:
    compared = 0
    for (question, printed), routed in zip(asked.printed, asked.routed, strict=True):
        if callable(question.answer) and routed is not None:
            assert question.answer(routed) == question.answer(printed), question
            compared += 1
            if routed.keys() == printed.keys() and question.command.split()[0] != "history":
                assert routed == printed, question
    assert compared >= 40


def test_every_whole_has_the_same_sum(asked: Asked) -> None:
    whole = nanousd(asked.of("spend")["total"]["cost_usd"])
    sums = 0
    for question, document in asked.printed:
        name = question.command.partition(" ")[0]
        if name in PAGES and isinstance(document, dict) and not any(each in question.command for each in FILTERS):
            assert nanousd(document["total"]["cost_usd"]) == whole, question
            parts = [*document["lines"], *([document["others"]] if "others" in document else [])]
            assert sum(nanousd(part["cost_usd"]) for part in parts) == whole, question
            sums += 1
        elif name == "stats":
            assert nanousd(document["total"]["cost_usd"]) == whole, question
        elif name == "what-if":
            assert sum(nanousd(line["spent"]["cost_usd"]) for line in document["lines"]) == whole, question
    assert sums >= 12
    assert sum(nanousd(block["cost_usd"]) for block in asked.of("blocks --timezone UTC")["blocks"]) == whole
    assert nanousd(asked.of("history --limit 1")["analytics"]["total_cost_usd"]) == whole


def test_named_parts_are_the_same_in_other_questions(asked: Asked) -> None:
    months = {line["period"]: line["cost_usd"] for line in asked.of("monthly --timezone UTC")["lines"]}
    (october,) = (document for each, document in asked.printed if "--until 2026-10-31" in each.command)
    assert october["total"]["cost_usd"] == months["2026-10"]
    of_teams = {line["group"]: line["cost_usd"] for line in asked.of("spend --by team")["lines"]}
    of_projects = {line["group"]: line["cost_usd"] for line in asked.of("spend --by project")["lines"]}
    assert (of_teams["store"], of_teams["docs"]) == (of_projects["/home/sam/shop"], of_projects["/home/sam/handbook"])
    assert (
        asked.of("history --status failed")["analytics"]["total_cost_usd"] == asked.of("stats")["total"]["failed_usd"]
    )
    assert asked.of("receipt a5b80595")["cost_usd"] == asked.of("show a5b80595")["actual_cost_total"] == "2.37"


def test_a_move_changes_no_sum_and_a_removal_takes_its_own(asked: Asked) -> None:
    whole = nanousd(asked.of("spend")["total"]["cost_usd"])
    removed = asked.of("remove 9bc0342e")["adw_id"]
    (cost,) = (
        row["actual_cost_total"] for row in asked.of("history --status failed")["workflows"] if row["adw_id"] == removed
    )
    assert asked.total_after == whole - nanousd(cost)

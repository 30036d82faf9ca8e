"""Write docs/questions.md: what people ask of costs, the command and the route that answer, and what they answer.

Usage: python -m docs.questions
"""

from __future__ import annotations

import json
import shlex
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

from click.testing import CliRunner

from docs import question_answers as answers
from projections.cli.app import cli

PAGE: Final = Path(__file__).with_name("questions.md")
UNTIL: Final = "2026-11-20T15:00Z"
"""When the made-up workflows end."""

NOW: Final = "depends on now"
"""The answer to a question that the clock decides."""

_INTRODUCTION: Final = f"""\
<!-- Written by docs/questions.py: change it, then run it. -->

# Questions

What people ask of their costs: each question with the command that answers it, the route of the [HTTP API](api.md) that
answers the same, and the answer on eight weeks of made-up workflows, whose prices are made up, too. To try it, make the
same weeks:

```sh
export COSTLEDGER_DATA=weeks
costledger demo --keep weeks --weeks-until {UNTIL}
costledger spend
```

With `--json`, a command prints the document of its route; `check ID` prints the fields of it that are about the budget.
"At least" is said where something has no price, which is one message here; "{NOW}" where the clock decides.
[Reports](reports.md) explains the words, and [Commands](commands.md) the options.
"""


class Question(NamedTuple):
    """A question, and who answers it.

    Attributes:
        command: without `costledger`.
        route: the path of a GET, another method with its path, or nothing.
        answer: what to show of the command's document; a text where there is none to show.
    """

    text: str
    command: str
    route: str
    answer: Callable[[Any], str] | str

    @property
    def changes(self) -> bool:
        """Whether the command writes to a ledger."""
        return self.command.split()[0] in ("move", "remove")


_STORY: Final = "/api/workflow-history/a5b80595"
_SIDES: Final = "2026-10-01..2026-10-20 2026-11-01..2026-11-20"
_ASKED_SIDES: Final = "a=2026-10-01..2026-10-20&b=2026-11-01..2026-11-20"

QUESTIONS: Final[dict[str, list[Question]]] = {
    "What did it cost?": [
        Question("What did everything cost?", "spend", "/api/spend?period=all", answers.total),
        Question(
            "What did October cost?",
            "spend --since 2026-10-01 --until 2026-10-31 --timezone UTC",
            "/api/spend?period=all&since=2026-10-01&until=2026-10-31",
            answers.total,
        ),
        Question("What did this workflow cost?", "show a5b80595", _STORY, answers.row),
        Question(
            "What did an issue cost?", "spend --where issue=17", "/api/spend?period=all&where=issue=17", answers.total
        ),
        Question(
            "What did one session cost?",
            "spend --where session=a5b80595-planner",
            "/api/spend?period=all&where=session=a5b80595-planner",
            answers.total,
        ),
        Question(
            "What has no price?",
            "spend --where model=qwen3-coder-next-local",
            "/api/spend?period=all&where=model=qwen3-coder-next-local",
            lambda document: f"{document['total']['unpriced_tokens']:,} tokens",
        ),
        Question(
            "How many tokens came from a cache?",
            "history --limit 1",
            "/api/workflow-history?limit=1&order=asc",
            answers.cached,
        ),
    ],
    "On what?": [
        Question("On which models?", "spend --by model", "/api/spend?period=all&by=model", answers.first(2)),
        Question("By which agents?", "spend --by agent", "/api/spend?period=all&by=agent", answers.first(2)),
        Question("For which projects?", "spend --by project", "/api/spend?period=all&by=project", answers.first(3)),
        Question("For which teams?", "spend --by team", "/api/spend?period=all&by=team", answers.first(3)),
        Question("With which tools?", "spend --by tool", "/api/spend?period=all&by=tool", answers.first(2)),
        Question("On which issues?", "top --by issue -n 3", "/api/spend?period=all&by=issue&limit=3", answers.first(3)),
        Question(
            "On which branches?", "top --by branch -n 2", "/api/spend?period=all&by=branch&limit=2", answers.first(2)
        ),
        Question(
            "Which agent on which model?",
            "spend --by agent,model",
            "/api/spend?period=all&by=agent&by=model",
            answers.first(2),
        ),
        Question(
            "What does Opus cost one project?",
            "spend --where 'model=*opus*' --where project=shop",
            "/api/spend?period=all&where=model=*opus*&where=project=shop",
            answers.tokens,
        ),
        Question(
            "What belongs to no team?", "spend --where team=", "/api/spend?period=all&where=team=", answers.tokens
        ),
    ],
    "When?": [
        Question("What was spent today?", "", "/api/spend", NOW),
        Question(
            "What was spent on one day?",
            "daily --since 2026-11-20 --until 2026-11-20 --timezone UTC",
            "/api/spend?since=2026-11-20&until=2026-11-20",
            answers.total,
        ),
        Question("Which day cost most?", "daily --timezone UTC", "/api/spend?period=day", answers.highest),
        Question("Which week cost most?", "weekly --timezone UTC", "/api/spend?period=week", answers.highest),
        Question("What did each month cost?", "monthly --timezone UTC", "/api/spend?period=month", answers.first(3)),
        Question(
            "What does each team spend a month?",
            "spend --by team --per month --since 2026-10-01 --timezone UTC",
            "/api/spend?period=month&by=team&since=2026-10-01",
            answers.first(3),
        ),
        Question("What did each session cost?", "session --timezone UTC", "/api/spend?period=session", answers.last),
        Question("Which 5-hour window cost most?", "blocks --timezone UTC", "/api/blocks", answers.highest_window),
        Question(
            "Which week of a plan cost most?",
            "blocks --window 7d --where tool=claude --timezone UTC",
            "/api/blocks?window=7d&where=tool=claude",
            answers.highest_window,
        ),
        Question("What is in the window of now?", "blocks --active --timezone UTC", "/api/blocks?active=true", NOW),
    ],
    "Which workflows?": [
        Question(
            "Which workflows cost most?", "top -n 3", "/api/spend?period=all&by=workflow&limit=3", answers.first(3)
        ),
        Question(
            "Which ones failed?",
            "history --status failed",
            "/api/workflow-history?status=failed&order=asc",
            answers.of_rows,
        ),
        Question(
            "What did those of a template cost?",
            "history --template adw_sdlc",
            "/api/workflow-history?workflow_template=adw_sdlc",
            answers.of_rows,
        ),
        Question(
            "Which ones have a tag?",
            "history --where team=docs",
            "/api/workflow-history?where=team=docs&order=asc",
            answers.of_rows,
        ),
        Question(
            "Which one took longest?",
            "history --sort duration --limit 1",
            "/api/workflow-history?sort=duration&limit=1",
            answers.last_row,
        ),
        Question("What does a workflow usually cost?", "stats --by template", "/api/stats?by=template", answers.usual),
        Question("Which agents of a workflow cost what?", "show a5b80595", _STORY, answers.agents),
        Question("Why did it cost that?", "explain a5b80595", f"{_STORY}/explain", answers.steps),
    ],
    "What was wasted?": [
        Question("What did failures and repetitions cost?", "stats", "/api/stats", answers.statistic("wasted_usd")),
        Question("Whose waste is highest?", "stats --by agent", "/api/stats?by=agent", answers.most_wasted),
        Question(
            "What did second runs cost?", "spend --where run=2", "/api/spend?period=all&where=run=2", answers.total
        ),
        Question(
            "What did cancelled workflows cost?",
            "spend --where status=cancelled",
            "/api/spend?period=all&where=status=cancelled",
            answers.total,
        ),
        Question("What does a run cost?", "stats", "/api/stats", answers.statistic("per_run_usd")),
    ],
    "What changed?": [
        Question(
            "Did November cost more than October?",
            f"compare {_SIDES} --timezone UTC",
            f"/api/compare?{_ASKED_SIDES}&limit=10",
            answers.difference,
        ),
        Question(
            "Are there more workflows, or dearer ones?",
            f"compare {_SIDES} --by agent --timezone UTC",
            f"/api/compare?{_ASKED_SIDES}&by=agent&limit=10",
            answers.parts,
        ),
        Question(
            "How do two templates differ?",
            "compare template=adw_sdlc template=adw_plan_build --by agent",
            "/api/compare?a=template=adw_sdlc&b=template=adw_plan_build&by=agent&limit=10",
            answers.difference,
        ),
    ],
    "What comes next?": [
        Question("What does this month come to?", "forecast --timezone UTC", "/api/forecast", NOW),
        Question("And of one project?", "forecast --where project=shop", "/api/forecast?where=project=shop", NOW),
        Question("What does an hour cost now?", "forecast", "/api/forecast", NOW),
    ],
    "Budgets": [
        Question("What is left of a workflow's budget?", "check a5b80595", _STORY, answers.budget),
        Question("Is a budget over? (Exit code 3: yes.)", "check", "/api/budgets", answers.budgets),
    ],
    "What if?": [
        Question(
            "What if Sonnet did what Opus does?",
            "what-if --map 'claude-opus-*=claude-sonnet-4-5'",
            "/api/what-if?map=claude-opus-*=claude-sonnet-4-5",
            answers.what_if,
        ),
        Question(
            "What if all ran on Haiku?",
            "what-if --model claude-haiku-4-5",
            "/api/what-if?model=claude-haiku-4-5",
            answers.what_if,
        ),
        Question(
            "What if a contract gave other prices?",
            "what-if --price '*opus*=4,20,0.4,5'",
            "/api/what-if?price=*opus*=4,20,0.4,5",
            answers.what_if,
        ),
        Question("What did prompt caching save?", "what-if --no-cache", "/api/what-if?no_cache=true", answers.what_if),
    ],
    "Is it right?": [
        Question("Does every figure follow from the ledgers?", "verify", "POST /api/verify", answers.proven),
        Question(
            "What needs attention?", "stale", "/api/stale", lambda document: f"{len(document['findings'])} findings"
        ),
        Question("What did it show after its first reading?", "show a5b80595 --as-of 4", "", answers.row),
        Question("Which price counts?", "prices claude-sonnet-4-5 --at 2026-11-20", "", answers.price),
    ],
    "Out and away": [
        Question("What did it cost, for a pull request?", "receipt a5b80595", f"{_STORY}/receipt", answers.receipt),
        Question("As a spreadsheet?", "spend --by project --csv", "", answers.csv_sum),
        Question(
            "As JSON lines?", "history --jsonl", "", lambda text: f"{len(text.splitlines())} workflows, one a line"
        ),
        Question(
            "How does a workflow count in another one?",
            "move ed8616ec --to a5b80595",
            "POST /api/workflow-history/ed8616ec/move",
            answers.moved,
        ),
        Question(
            "How is a workflow forgotten?", "remove 9bc0342e", "DELETE /api/workflow-history/9bc0342e", answers.removed
        ),
    ],
}
"""The questions by section, in the order in which they are asked: those that change something are the last."""


def questions() -> Iterator[Question]:
    """Yield all questions, in order."""
    for asked in QUESTIONS.values():
        yield from asked


def make_data(data: Path) -> None:
    """Write the made-up workflows."""
    _run(data, f"demo --keep {shlex.quote(str(data))} --weeks-until {UNTIL}")


def ask(data: Path) -> list[Any]:
    """Return what each question's command prints: a document, or the text of one that prints no JSON."""
    printed = []
    for question in questions():
        is_text = question.command.endswith(("--csv", "--jsonl"))
        text = _run(data, question.command + " --json" * (not is_text))
        printed.append(text if is_text else json.loads(text))
    return printed


def _run(data: Path, command: str) -> str:
    """Return what a command prints on stdout.

    Raises:
        RuntimeError: it failed.
    """
    given = {"COSTLEDGER_DATA": str(data), "COSTLEDGER_CONFIG": None}
    done = CliRunner().invoke(cli, shlex.split(command), env=given)
    if done.exit_code:
        raise RuntimeError(f"costledger {command}: {done.output}{done.exception!r}")
    return done.stdout


def page(printed: list[Any]) -> str:
    """Return the whole page."""
    lines, documents = [_INTRODUCTION], iter(printed)
    for title, asked in QUESTIONS.items():
        lines += [f"## {title}", "", "| question | answer | command and route |", "|---|---|---|"]
        for question in asked:
            document = next(documents)
            answer = question.answer(document) if callable(question.answer) else question.answer
            lines.append(f"| {question.text} | {answer} | {_calls(question)} |")
        lines.append("")
    return "\n".join(lines).rstrip() + "\n"


def _calls(question: Question) -> str:
    """Return the command and the route of a question."""
    route = question.route if " " in question.route else f"GET {question.route}"
    return f"`costledger {question.command}`".replace(" `", "`") + f"<br>`{route}`" * bool(question.route)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        make_data(Path(folder))
        PAGE.write_text(page(ask(Path(folder))), encoding="utf-8")

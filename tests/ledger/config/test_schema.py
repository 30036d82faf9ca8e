"""`costledger.toml`: what it means, and its problems, each with its line."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ledger.config.locate import config_file
from ledger.config.schema import WEBHOOK_EVENTS, Config, line_of, load
from ledger.errors import InvalidConfig

WHOLE = """\
[[sources]]
kind = "adw"
path = "agents"

[[sources]]
kind = "claude-stream"
path = "/logs/raw_output.jsonl"
workflow_id = "a5b80595"
agent = "plan"

[[prices]]
model = "claude-*"
since = 2026-01-01
input_usd_per_mtok = "3.00"
output_usd_per_mtok = 15.1

[[prices]]
model = "llama*"
input_usd_per_mtok = 0
output_usd_per_mtok = 0

[budgets]
default_usd = "10.00"

[budgets.by_template]
adw_sdlc = "5.00"
"""


def read(folder: Path, text: str | bytes) -> Config:
    file = folder / "costledger.toml"
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    return load(file)


def problems(folder: Path, text: str | bytes) -> list[tuple[int | None, str]]:
    with pytest.raises(InvalidConfig) as refused:
        read(folder, text)
    assert all(str(refused.value.file) in line for line in str(refused.value).splitlines())
    return list(refused.value.problems)


def test_a_whole_file(tmp_path: Path) -> None:
    config = read(tmp_path, WHOLE)
    assert [(source.kind, source.path) for source in config.sources] == [
        ("adw", tmp_path / "agents"),
        ("claude-stream", Path("/logs/raw_output.jsonl")),
    ]
    assert config.prices[0].since == date(2026, 1, 1)
    assert config.prices[0].rates == {"input_tokens": Decimal("3.00"), "output_tokens": Decimal("15.1")}
    assert config.prices[1].rates == {"input_tokens": 0, "output_tokens": 0}
    assert config.budgets.of("adw_sdlc") == 5_000_000_000
    assert config.budgets.of("another") == config.budgets.of(None) == 10_000_000_000


def test_without_a_file_nothing_is_configured() -> None:
    assert load(None) == Config()
    assert Config().budgets.of("any") is None


@pytest.mark.parametrize(
    ("text", "line", "sentence"),
    [
        ("[[prices]]\nmodel = 'x'\ninput_usd_per_mtok = '1'\ninput_usd_per_mtoc = '1'\n", 4, "did you mean 'input_usd"),
        ("\n\n[budget]\ndefault_usd = '1'\n", 3, "did you mean 'budgets'?"),
        ("[[budgets.period]]\nper = 'day'\nusd = 1\nnames = 'x'\n", 4, "did you mean 'name'?"),
        ("[[budgets.period]]\nper = 'year'\nusd = 1\n", 2, "'day', 'week' or 'month'"),
        ("[[budgets.period]]\nper = 'day'\nusd = 1\nwhere = ['team']\n", 4, "expected NAME=VALUE"),
        ("[budgets]\ndefault = '1'\n", 2, "did you mean 'default_usd'?"),
        (
            "[[sources]]\nkind = 'adw'\npath = 'x'\n[[sources]]\n\nkind = 'claud-stream'\n",
            6,
            "did you mean 'claude-stream'?",
        ),
        ("[[sources]]\npath = 'x'\n", 1, "sources.kind: missing"),
        ("[[sources]]\nkind = 'adw'\nworkflow_by = 'week'\n", 3, "'session', 'project' or 'branch'"),
        ("[[sources]]\nkind = 'adw'\nworkflow_by = 'branch'\nworkflow_id = 'w'\n", 1, "leave out workflow_by"),
        ("\n[[sources]]\nkind = 'adw'\n", 2, "needs a path"),
        (
            "[[sources]]\nkind = 'adw'\npath = 'x'\nworkflow_by = 'branch'\n",
            1,
            "workflow_by is for aider, claude, ",
        ),
        ("[[sources]]\nkind = 'adw'\nworkflow_id = '../w'\n", 3, "is not a workflow id"),
        ("[[prices]]\nmodel = 'x'\n", 1, "names no rate"),
        ("[[prices]]\nmodel = 'x'\noutput_usd_per_mtok = -1\n", 3, "negative"),
        ("[[prices]]\nmodel = 'x'\noutput_usd_per_mtok = nan\n", 3, "finite"),
        ("[[prices]]\nmodel = 'x'\noutput_usd_per_mtok = 0.1234567890123\n", 3, "more than 12 decimals"),
        ("[[prices]]\nmodel = 'x'\noutput_usd_per_mtok = '0.0000000000001'\n", 3, "more than 12 decimals"),
        ("[[prices]]\nmodel = 'x'\nsince = 'soon'\noutput_usd_per_mtok = 1\n", 3, "a date such as 2026-01-01"),
        ("[budgets.by_template]\na = '1'\nb = true\n", 3, "budgets.by_template.b: true is not an amount"),
        ("prices = 3\n", 1, "prices:"),
        ("[budgets]\ndefault_usd = '1'\ndefault_usd = '2'\n", 3, "is not TOML"),
        ("[[prices]\n", 1, "is not TOML"),
        ("[providers]\n'glm-*' = 'zai'\n'kimi-*' = 'moonshoot'\n", 3, "did you mean 'moonshot'?"),
        ("[providers]\n'glm-*' = 'me'\n", 2, "is no provider with a price list; those that have one: anthropic"),
        ("a = " + "[" * 10_000, None, "nested too deeply"),
        (b"# caf\xe9\n", None, "is not UTF-8 at byte 5"),
    ],
)
def test_a_problem_has_its_line(tmp_path: Path, text: str | bytes, line: int | None, sentence: str) -> None:
    ((where, found),) = problems(tmp_path, text)
    assert where == line
    assert sentence in found


def test_all_problems_are_reported_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = WHOLE.replace("3.00", "three").replace('"5.00"', "-5").replace("agent =", "agnet =")
    assert [line for line, _ in problems(tmp_path, text)] == [9, 14, 26]


@given(st.integers(0, 30), st.sampled_from(["", "# a comment\n", 'x = """\nmodel = 2\n"""\n']))
def test_the_line_is_right_whatever_is_above_it(blank: int, above: str) -> None:
    text = "\n" * blank + above + "[[prices]]\nmodel = 3\n[[prices]]\nmodel = 1\n"
    assert line_of(text, ("prices", 1, "model")) == text.splitlines().index("model = 1") + 1


def test_a_missing_file_that_was_named_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidConfig, match="No such file"):
        load(tmp_path / "costledger.toml")


def test_where_the_file_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("COSTLEDGER_CONFIG", raising=False)
    data = tmp_path / "data"
    data.mkdir()
    assert config_file(data) is None
    (tmp_path / "costledger.toml").touch()
    assert config_file(data) == Path("costledger.toml")
    (data / "costledger.toml").touch()
    assert config_file(data) == data / "costledger.toml"
    monkeypatch.setenv("COSTLEDGER_CONFIG", "elsewhere.toml")
    assert config_file(data) == Path("elsewhere.toml")
    assert config_file(data, Path("given.toml")) == Path("given.toml")


GOOD = 'url = "https://hooks.example/x"\nsecret_env = "S"'


NO_HOSTS = [
    "a..b",
    ".a",
    f"{'a' * 64}.example",
    "-a.example",
    "a-.example",
    "a%00b",
    "127。0。0。1",
    "127．0．0．1",
    "[::1]x",
]
NO_HOSTS += ["[1::2::3]", "[v1.x]", "a\u200b。", "x" * 254]


@pytest.mark.parametrize(
    ("lines", "problem"),
    [
        ('url = "https://hooks.example/x"', "secret_env and secret_file"),
        (f'{GOOD}\nsecret_file = "s"', "secret_env and secret_file"),
        ('url = "http://hooks.example/"\nsecret_env = "S"', "must be https"),
        ('url = "ftp://hooks.example/"\nsecret_env = "S"', "must be https"),
        ('url = "https://user:word@hooks.example/"\nsecret_env = "S"', "without a user name"),
        *((f'url = "https://{host}/"\nsecret_env = "S"', "must be https") for host in NO_HOSTS),
        (f'{GOOD}\nevents = ["cost.update"]', "cost.updated"),
        (f"{GOOD}\ntimeout_seconds = 0", "timeout_seconds"),
        (f"{GOOD}\nsecret = 1", "not a key here"),
        (f"{GOOD}\n[[webhooks]]\n{GOOD}", "the same url"),
    ],
)
def test_a_webhook_that_could_not_be_sent_is_refused(tmp_path: Path, lines: str, problem: str) -> None:
    file = tmp_path / "costledger.toml"
    file.write_text(f"[[webhooks]]\n{lines}\n")
    with pytest.raises(InvalidConfig, match=problem):
        load(file)


@pytest.mark.parametrize(
    "host", ["hooks.example.", "a_b.example", "bücher.example", "127.0.0.1:8443", "[::1]:8443", "a"]
)
def test_a_webhook_to_any_host_that_can_be_looked_up_is_taken(tmp_path: Path, host: str) -> None:
    file = tmp_path / "costledger.toml"
    file.write_text(f'[[webhooks]]\nurl = "https://{host}/x"\nsecret_env = "S"\n')
    assert httpx.URL(load(file).webhooks[0].url).raw_host


def test_a_webhook_says_only_where_its_secret_is(tmp_path: Path) -> None:
    file = tmp_path / "costledger.toml"
    file.write_text('[[webhooks]]\nurl = "http://10.0.0.7/"\nallow_private = true\nsecret_file = "hook.secret"\n')
    (webhook,) = load(file).webhooks
    assert webhook.secret_file == tmp_path / "hook.secret"
    assert webhook.events == WEBHOOK_EVENTS


@pytest.mark.parametrize(
    ("entry", "problem"),
    [('"foo"', "say FIELD=COLUMN"), ('"nofield=x"', "no field 'nofield'"), ('"model=a", "model=b"', "'model' twice")],
)
def test_an_invalid_map_is_reported_with_its_line(tmp_path: Path, entry: str, problem: str) -> None:
    text = f'[[sources]]\nkind = "csv"\npath = "t.csv"\nmap = [{entry}]\n'
    [(line, found)] = problems(tmp_path, text)
    assert (line, problem in found) == (4, True), found
    assert read(tmp_path, text.replace(entry, '"model=m", "agent==a"')).sources[0].map == ("model=m", "agent==a")


def test_a_section_in_single_brackets_is_reported_with_the_double_ones(tmp_path: Path) -> None:
    [(line, found)] = problems(tmp_path, '\n[prices]\nmodel = "x"\ninput_usd_per_mtok = 1\n')
    assert (line, "[[double brackets]]" in found) == (2, True), found


@pytest.mark.parametrize("value", ["-1", '"-0.5"', "-2.5"])
def test_a_rate_below_zero_is_reported_as_negative(tmp_path: Path, value: str) -> None:
    [(line, found)] = problems(tmp_path, f'[[prices]]\nmodel = "x"\ninput_usd_per_mtok = {value}\n')
    assert (line, "cannot be negative" in found, "correct" in found) == (3, True, False), found

"""The conformance campaign: real clients, fake APIs whose answers are known, and a verdict on every row.

    pytest -m clients                                       # every cell, needs npm
    python -m tests.clients --client claude-code --version 2.1.332 --scenario fork
    python -m tests.clients --record                        # every cell, and writes docs/conformance.md

A *cell* is a client, a version and a scenario. It is run in three steps:

1. `installation` puts the version into a folder of the cache, once (`$COSTLEDGER_CLIENTS_CACHE`).
2. `play` runs in a network namespace of its own (`sandbox`). It starts the fake APIs and an OTLP receiver in threads,
   and makes a `Stage`: a home, a working folder, and the client. The scenario (`scenarios`, one table) says what the
   user does, in the words of the stage: `turn`, `killed`, `together`, `terminal`, `type`. Words in the prompts
   (`script`) say what the API answers. What is left is a *recording*: a folder as the shared logs of earlier runs
   have it, with `truth.json`.
3. `cell.judged` reads the recording by every way in (`ways`), each into a new data directory, and then by all
   together: in random order, cut off at first, and some of it twice. `verdict` compares each row with the truth, to
   the nanodollar.

`table` stores results in `results.jsonl` and writes the page. `tests/conformance` reads recorded logs with the same
ways and verdicts, in every test run.

**The truth** is what an API recorded (`http_fake.Given`), priced by `prices`, which is typed by hand. Each process of
a client has an address of its own (`Stage.address`), so calls that it makes under another session's id are known:
`aliases`.

**A new version** is one more in `versions` of its client. **A new scenario** is one function and one row of the table
in `scenarios`. **A new client** is one file like `codex.py`, with what the protocol `stage.Client` lists, and its
place in `campaign.CLIENTS`:

- `install`, `newest`: `installation.npm(PACKAGE, version, executable)`, or `installation.python` for an SDK, whose
  "client" is a script that makes the calls;
  SDKs are rows of `python_sdk.SDKS`: a package, ways, abilities, limits, and a program in `programs`;
- `prepare`: settings in the stage's home, before the first process; `environment`, `command`, `interactive`: how a
  process is started; they use `stage.address("anthropic")`, `("openai")` or `("gemini")`, and `stage.otlp.url`;
- `session_of`: the session that the output of a turn names;
- `ways`: which records it leaves. A new way is one function in `ways.WAYS`, and in `table` its column;
- `abilities`, `missing`: which scenarios it can play, and what a version cannot;
- `limits`: what a way cannot show, with the reason. A row below the truth without such a reason is a failure, and so
  is every row that is above it, or below it and does not say "at least".

A cell that is wrong is a defect until its root is known: `--folder DIR` leaves the recording there, for a look at it.
"""

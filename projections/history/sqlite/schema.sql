-- Schema version 10.
--
-- Versions:
--   1  first
--   2  costledger_spend; the columns project and budget_nanousd
--   3  costledger_spend: the column partial
--   4  the column last_activity; costledger_spend: the column spent_at_from
--   5  costledger_total: sums in halves of 32 bits
--   6  the columns branch and tool
--   7  the column tags; costledger_spend: the column run
--   8  costledger_part and costledger_move
--   9  sums of spend and their triggers
--   10 the spend in chunks, in their stead (chunks.py)

-- One row per workflow, a pure function of its ledger (projections/folding/row.py). Times are UTC text,
-- `YYYY-MM-DDTHH:MM:SS.ffffffZ`.
CREATE TABLE IF NOT EXISTS workflow_history (
    adw_id                   TEXT PRIMARY KEY,  -- the ledger's workflow_id
    issue_number             INTEGER,           -- of the last start that names one
    workflow_template        TEXT,              -- of the last start that names one
    project                  TEXT,              -- of the last start that names one, else by the paths of its logs
    branch                   TEXT,              -- of the last start that names one
    tool                     TEXT,              -- whose logs its readings come from, such as Claude Code
    tags                     TEXT,              -- JSON: its own tags by key; NULL without any
    status                   TEXT NOT NULL,     -- running, completed, failed or cancelled; from events only
    start_time               TEXT,              -- of the earliest start
    end_time                 TEXT,              -- of the end that decides
    duration_seconds         INTEGER,           -- whole seconds between the two; NULL when the end was recorded late
    last_activity            TEXT,              -- the latest reading, start or end; NULL without any
    actual_cost_total        REAL NOT NULL,     -- USD; what people see and edit
    actual_cost_nanousd      INTEGER NOT NULL,  -- the same, exact: 1e-9 USD
    estimated_cost_total     REAL,              -- USD, of the last start that names one
    budget_nanousd           INTEGER,           -- 1e-9 USD, of the last start that names one
    cost_breakdown           TEXT NOT NULL,     -- JSON: by agent, by model; USD as text; sums to the total; unpriced
    token_breakdown          TEXT NOT NULL,     -- JSON: by agent, by model; counts
    input_tokens             INTEGER NOT NULL,  -- uncached input
    cached_tokens            INTEGER NOT NULL,  -- cache writes
    cache_hit_tokens         INTEGER NOT NULL,  -- cache reads
    cache_miss_tokens        INTEGER NOT NULL,  -- uncached input
    output_tokens            INTEGER NOT NULL,
    total_tokens             INTEGER NOT NULL,  -- input + writes + reads + output
    cache_efficiency_percent REAL NOT NULL,     -- 100 * reads / (input + writes + reads)
    model_used               TEXT,              -- the model that cost most
    cost_basis               TEXT,              -- reported, priced or partial; NULL without a reading
    unpriced_events          INTEGER NOT NULL,  -- meters whose usage has no price
    event_count              INTEGER NOT NULL,  -- lines of the ledger
    ledger_seq               INTEGER NOT NULL,  -- the last line that was folded
    ledger_hash              TEXT NOT NULL,     -- its hash
    error_message            TEXT,              -- of the end that decides
    created_at               TEXT NOT NULL,     -- recorded_at of the first line
    updated_at               TEXT NOT NULL      -- recorded_at of the last line
) STRICT;

-- One line for every change of a row's cost. History, not a projection: a rebuild keeps it.
CREATE TABLE IF NOT EXISTS cost_audit_log (
    id        INTEGER PRIMARY KEY,
    adw_id    TEXT NOT NULL,
    old_cost  REAL,           -- USD; NULL when no cost was known
    new_cost  REAL NOT NULL,  -- USD
    reason    TEXT NOT NULL,
    timestamp TEXT NOT NULL   -- when the row was changed, UTC
) STRICT;
CREATE INDEX IF NOT EXISTS cost_audit_log_adw_id ON cost_audit_log (adw_id);

-- What each workflow spent when, by agent, session and model (projections/folding/spend.py): the change of its breakdown, event
-- by event. Every figure is a change and may be negative; a workflow's sum to its row, a running one's to pure replay.
CREATE TABLE IF NOT EXISTS costledger_spend (
    adw_id                TEXT NOT NULL,
    quarter               INTEGER NOT NULL,  -- seconds since 1970-01-01T00:00Z, divided by 900
    agent                 TEXT,              -- NULL for what no event named, as in the next two
    session_id            TEXT,
    model                 TEXT,
    spent_at_from         TEXT,              -- the evidence for the quarter; NULL: the events carry their times
    run                   INTEGER NOT NULL,  -- the run of the workflow, from 1
    cost_nanousd          INTEGER NOT NULL,  -- 1e-9 USD
    input_tokens          INTEGER NOT NULL,  -- uncached input
    cache_write_tokens    INTEGER NOT NULL,
    cache_write_1h_tokens INTEGER NOT NULL,  -- the part of the cache writes that lives for an hour
    cache_read_tokens     INTEGER NOT NULL,
    output_tokens         INTEGER NOT NULL,
    web_search_requests   INTEGER NOT NULL,
    unpriced_events       INTEGER NOT NULL,  -- meters whose usage has no price
    unpriced_tokens       INTEGER NOT NULL,  -- input, cache writes, cache reads and output that no price covers
    partial               INTEGER NOT NULL   -- 1: an incomplete reading is behind this, more was spent; 0: none
) STRICT;
CREATE INDEX IF NOT EXISTS costledger_spend_adw_id ON costledger_spend (adw_id);
CREATE INDEX IF NOT EXISTS costledger_spend_quarter ON costledger_spend (quarter, model);

-- How far each ledger has been read; written with its row, in one transaction.
CREATE TABLE IF NOT EXISTS costledger_checkpoint (
    workflow_id TEXT PRIMARY KEY,
    seq         INTEGER NOT NULL,
    size        INTEGER NOT NULL,  -- bytes
    hash        TEXT NOT NULL
) STRICT, WITHOUT ROWID;

-- Workflows that moves connect: the row, the spend and the moves of each ledger by itself, as JSON; and who moved to whom
-- (projections/history/moved_parts.py). Their rows and their spend above show what counts in each after the moves.
CREATE TABLE IF NOT EXISTS costledger_part (
    workflow_id TEXT PRIMARY KEY,
    part        TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS costledger_move (
    workflow_id TEXT NOT NULL,
    to_id       TEXT NOT NULL,
    PRIMARY KEY (workflow_id, to_id)
) STRICT, WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS costledger_move_to_id ON costledger_move (to_id);

-- schema_version: of this file. fold_version: what the rows mean; another one refolds every ledger.
CREATE TABLE IF NOT EXISTS costledger_meta (
    key   TEXT PRIMARY KEY,
    value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;

-- What rows showed when an upgrade had every ledger folded again; each is deleted when its ledger has been.
CREATE TABLE IF NOT EXISTS costledger_upgrade (
    adw_id              TEXT PRIMARY KEY,
    actual_cost_total   REAL,     -- USD
    actual_cost_nanousd INTEGER,  -- 1e-9 USD
    status              TEXT,
    seq                 INTEGER   -- how far the ledger had been folded
) WITHOUT ROWID;

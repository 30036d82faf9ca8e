-- Schema version 7. N stands for the version of the rows: a rebuild fills new tables and points the views at them.
--
-- Versions:
--   1  first
--   2  costledger_partition_N: the column mark
--   3  costledger_spend_N: the column partial
--   4  workflow_history_N: the column last_activity; costledger_spend_N: the column spent_at_from
--   5  workflow_history_N: the columns branch and tool
--   6  workflow_history_N: the column tags; costledger_spend_N: the column run
--   7  costledger_part_N and costledger_move_N
--
-- Every key starts with the workflow's id, so that the tables can be distributed by it; costledger_partition and
-- costledger_meta have a few rows for all.

-- One row per workflow, a pure function of its ledger (projections/folding/row.py); read it by the view
-- workflow_history, which also takes updates.
CREATE TABLE workflow_history_N (
    adw_id                   text COLLATE "C" PRIMARY KEY,  -- the ledger's workflow_id
    issue_number             bigint,                        -- of the last start that names one
    workflow_template        text,                          -- of the last start that names one
    project                  text,                          -- of the last start that names one, else by its logs' paths
    branch                   text,                          -- of the last start that names one
    tool                     text,                          -- whose logs its readings come from, such as Claude Code
    tags                     text,                          -- JSON: its own tags by key; NULL without any
    status                   text NOT NULL,                 -- running, completed, failed or cancelled; from events only
    start_time               timestamptz,                   -- of the earliest start
    end_time                 timestamptz,                   -- of the end that decides
    duration_seconds         bigint,                        -- whole seconds between the two; NULL: recorded late
    last_activity            timestamptz,                   -- the latest reading, start or end; NULL without any
    actual_cost_total        numeric(28, 9) NOT NULL,       -- USD; what people see and edit
    actual_cost_nanousd      bigint NOT NULL,               -- the same as we wrote it, in 1e-9 USD
    estimated_cost_total     numeric(28, 9),                -- USD, of the last start that names one
    budget_nanousd           bigint,                        -- 1e-9 USD, of the last start that names one
    cost_breakdown           jsonb NOT NULL,                -- by agent, by model; USD as text; sums to the total; unpriced
    token_breakdown          jsonb NOT NULL,                -- by agent, by model; counts
    input_tokens             bigint NOT NULL,               -- uncached input
    cached_tokens            bigint NOT NULL,               -- cache writes
    cache_hit_tokens         bigint NOT NULL,               -- cache reads
    cache_miss_tokens        bigint NOT NULL,               -- uncached input
    output_tokens            bigint NOT NULL,
    total_tokens             bigint NOT NULL,               -- input + writes + reads + output
    cache_efficiency_percent double precision NOT NULL,     -- 100 * reads / (input + writes + reads)
    model_used               text,                          -- the model that cost most
    cost_basis               text,                          -- reported, priced or partial; NULL without a reading
    unpriced_events          bigint NOT NULL,               -- meters whose usage has no price
    event_count              bigint NOT NULL,               -- lines of the ledger
    ledger_seq               bigint NOT NULL,               -- the last line that was folded
    ledger_hash              text NOT NULL,                 -- its hash
    error_message            text,                          -- of the end that decides
    created_at               timestamptz NOT NULL,          -- recorded_at of the first line
    updated_at               timestamptz NOT NULL           -- recorded_at of the last line
);

-- How far each ledger has been read (seq 0: not at all); written with its row, in one transaction. It is also the lock
-- of the writers of that workflow.
CREATE TABLE costledger_checkpoint_N (
    workflow_id text COLLATE "C" PRIMARY KEY,
    seq         bigint NOT NULL,
    size        bigint NOT NULL,  -- bytes
    hash        text NOT NULL
);
-- Rows that may need attention: SUSPECT_INDEX of projections/history/suspects.py.
CREATE INDEX workflow_history_attention_N ON workflow_history_N (updated_at) WHERE SUSPECT_INDEX;

-- What each workflow spent when, by agent, session and model (projections/folding/spend.py): the change of its breakdown, event
-- by event. Every figure is a change and may be negative; a workflow's sum to its row, a running one's to pure replay.
CREATE TABLE costledger_spend_N (
    adw_id                text COLLATE "C" NOT NULL,
    quarter               bigint NOT NULL,   -- seconds since 1970-01-01T00:00Z, divided by 900
    agent                 text COLLATE "C",  -- NULL for what no event named, as in the next two
    session_id            text COLLATE "C",
    model                 text COLLATE "C",
    spent_at_from         text COLLATE "C",  -- the evidence for the quarter; NULL: the events carry their times
    run                   bigint NOT NULL,   -- the run of the workflow, from 1
    cost_nanousd          bigint NOT NULL,   -- 1e-9 USD
    input_tokens          bigint NOT NULL,   -- uncached input
    cache_write_tokens    bigint NOT NULL,
    cache_write_1h_tokens bigint NOT NULL,   -- the part of the cache writes that lives for an hour
    cache_read_tokens     bigint NOT NULL,
    output_tokens         bigint NOT NULL,
    web_search_requests   bigint NOT NULL,
    unpriced_events       bigint NOT NULL,   -- meters whose usage has no price
    unpriced_tokens       bigint NOT NULL,   -- input, cache writes, cache reads and output that no price covers
    partial               bigint NOT NULL    -- 1: an incomplete reading is behind this, more was spent; 0: none
);
CREATE INDEX costledger_spend_adw_id_N ON costledger_spend_N (adw_id, quarter);
CREATE INDEX costledger_spend_quarter_N ON costledger_spend_N (quarter);

-- Workflows that moves connect: the row, the spend and the moves of each ledger by itself, as JSON; and who moved to whom
-- (projections/history/moved_parts.py). Their rows and their spend above show what counts in each after the moves.
CREATE TABLE costledger_part_N (
    workflow_id text COLLATE "C" PRIMARY KEY,
    part        text NOT NULL
);
CREATE TABLE costledger_move_N (
    workflow_id text COLLATE "C" NOT NULL,
    to_id       text COLLATE "C" NOT NULL,
    PRIMARY KEY (workflow_id, to_id)
);
CREATE INDEX costledger_move_to_id_N ON costledger_move_N (to_id);

-- Where projectors are in each chain, one origin's lines of one workflow; empty when rows come from local ledgers.
CREATE TABLE costledger_chain_N (
    workflow_id text COLLATE "C" NOT NULL,
    origin      text COLLATE "C" NOT NULL,
    seq         bigint NOT NULL,  -- the last line that was verified, and its bytes with all before it
    size        bigint NOT NULL,
    hash        text NOT NULL,
    problem     text,             -- why the chain does not go on; NULL when nothing is wrong
    PRIMARY KEY (workflow_id, origin)
);
CREATE INDEX costledger_chain_problem_N ON costledger_chain_N (workflow_id) WHERE problem IS NOT NULL;

-- How far projectors have read each partition of a replica; written with the rows, in one transaction.
CREATE TABLE costledger_partition_N (
    partition integer PRIMARY KEY,
    position  bigint NOT NULL,  -- the last line that is in the rows, or needs not be
    mark      text,             -- the SHA-256 of the line that was read at that position
    replica   text NOT NULL     -- which making of which stream that is a position in
);

-- One line for every change of a row's cost. History, not a projection: a rebuild keeps it.
CREATE TABLE IF NOT EXISTS cost_audit_log (
    id        bigint GENERATED ALWAYS AS IDENTITY,
    adw_id    text COLLATE "C" NOT NULL,
    old_cost  numeric(28, 9),           -- USD; NULL when no cost was known
    new_cost  numeric(28, 9) NOT NULL,  -- USD
    reason    text NOT NULL,
    timestamp timestamptz NOT NULL,     -- when the row was changed
    PRIMARY KEY (adw_id, id)
);

-- The number of each row's last change; numbers grow in the order of the commits, which wait for each other here.
CREATE TABLE IF NOT EXISTS costledger_change (
    adw_id text COLLATE "C" PRIMARY KEY,
    number bigint NOT NULL
);
CREATE INDEX IF NOT EXISTS costledger_change_number ON costledger_change (number);
CREATE SEQUENCE IF NOT EXISTS costledger_change_number_sequence;
-- Above the numbers of any earlier history in this schema: projections/history/store.py, number_before_first.
SELECT setval('costledger_change_number_sequence', (floor(extract(epoch FROM now()))::bigint - 1577836800) << 32)
    FROM costledger_change_number_sequence WHERE NOT is_called;

-- schema_version: of this file. fold_version: what the rows mean; another one refolds every ledger.
-- rows_version: the N that the views show. building_version: the N that projectors are filling.
CREATE TABLE IF NOT EXISTS costledger_meta (
    key   text PRIMARY KEY,
    value bigint NOT NULL
);

-- What rows showed when an upgrade had every ledger folded again; each is deleted when its ledger has been.
CREATE TABLE IF NOT EXISTS costledger_upgrade (
    adw_id              text COLLATE "C" PRIMARY KEY,
    actual_cost_total   double precision,  -- USD
    actual_cost_nanousd bigint,            -- 1e-9 USD
    status              text,
    seq                 bigint             -- how far the ledger had been folded
);

-- Gives each version of the rows its number.
CREATE SEQUENCE IF NOT EXISTS costledger_version;

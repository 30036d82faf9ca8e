PRAGMA journal_mode = WAL;
CREATE TABLE sessions (id TEXT PRIMARY KEY, cwd TEXT, repository TEXT, branch TEXT, summary TEXT, created_at TEXT, updated_at TEXT);
CREATE TABLE assistant_usage_events (id INTEGER PRIMARY KEY AUTOINCREMENT, session_id TEXT NOT NULL, model TEXT, input_tokens INTEGER, output_tokens INTEGER, cache_read_tokens INTEGER, cache_write_tokens INTEGER, reasoning_tokens INTEGER, total_nano_aiu INTEGER, initiator TEXT, created_at TEXT);
INSERT INTO sessions VALUES ('c0000000-0000-4000-8000-000000000002', '/home/ann/shop', 'ann/shop', 'main', 'Remove the cart', '2026-09-01T09:00:00.000Z', '2026-09-01T09:09:00.000Z');
INSERT INTO sessions VALUES ('c0000000-0000-4000-8000-000000000005', '/home/ann/docs', 'ann/docs', 'main', 'Spelling', '2026-09-02T09:00:00.000Z', '2026-09-02T09:01:00.000Z');
INSERT INTO assistant_usage_events VALUES (1, 'c0000000-0000-4000-8000-000000000002', 'gpt-5-mini', 6000, 80, 4000, 0, 40, 76000000, 'user', '2026-09-01T09:00:02.000Z');
INSERT INTO assistant_usage_events VALUES (2, 'c0000000-0000-4000-8000-000000000002', 'gpt-5-mini', 12000, 600, 0, 0, 0, 420000000, 'compaction', '2026-09-01T09:05:00.000Z');
INSERT INTO assistant_usage_events VALUES (3, 'c0000000-0000-4000-8000-000000000002', 'claude-haiku-4.5', 3000, 20, 1000, 1000, 0, 245000000, 'user', '2026-09-01T09:08:00.000Z');
INSERT INTO assistant_usage_events VALUES (4, 'c0000000-0000-4000-8000-000000000005', 'a-model-of-the-plan', 100, 10, 0, 0, 0, 0, 'user', '2026-09-02T09:01:00.000Z');

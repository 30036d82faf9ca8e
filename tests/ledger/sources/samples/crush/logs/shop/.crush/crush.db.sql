CREATE TABLE sessions (id TEXT PRIMARY KEY, parent_session_id TEXT, title TEXT NOT NULL, message_count INTEGER NOT NULL DEFAULT 0, prompt_tokens INTEGER NOT NULL DEFAULT 0, completion_tokens INTEGER NOT NULL DEFAULT 0, cost REAL NOT NULL DEFAULT 0.0, updated_at INTEGER NOT NULL, created_at INTEGER NOT NULL, summary_message_id TEXT);
CREATE TABLE messages (id TEXT PRIMARY KEY, session_id TEXT NOT NULL, role TEXT NOT NULL, parts TEXT NOT NULL DEFAULT '[]', model TEXT, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, finished_at INTEGER, provider TEXT);
-- a parent, whose cost includes its child's
INSERT INTO sessions VALUES ('7f0c0000-0000-4000-8000-000000000001', NULL, 'Add a cart', 4, 9000, 120, 1.2500000000000002, 1755173600, 1755173000, NULL);
INSERT INTO sessions VALUES ('toolu_01cart', '7f0c0000-0000-4000-8000-000000000001', 'Task', 2, 3000, 40, 0.25, 1755173300, 1755173100, NULL);
-- a model without a price, and a session that nobody used
INSERT INTO sessions VALUES ('7f0c0000-0000-4000-8000-000000000002', NULL, 'Ask', 2, 500, 9, 0.0, 1755174100, 1755174000, NULL);
INSERT INTO sessions VALUES ('7f0c0000-0000-4000-8000-000000000003', NULL, 'New', 0, 0, 0, 0.0, 1755175000, 1755175000, NULL);
-- two children of a parent that was deleted
INSERT INTO sessions VALUES ('call_orphan1', '7f0c0000-0000-4000-8000-000000000004', 'Task', 2, 100, 7, 0.125, 1755176100, 1755176000, NULL);
INSERT INTO sessions VALUES ('call_orphan2', '7f0c0000-0000-4000-8000-000000000004', 'Task', 2, 100, 7, 0.0625, 1755176200, 1755176100, NULL);
INSERT INTO messages VALUES ('m1', '7f0c0000-0000-4000-8000-000000000001', 'user', '[]', '', 1755173000, 1755173000, NULL, NULL);
INSERT INTO messages VALUES ('m2', '7f0c0000-0000-4000-8000-000000000001', 'assistant', '[]', 'claude-sonnet-4', 1755173001, 1755173009, 1755173009, 'anthropic');
INSERT INTO messages VALUES ('m3', 'toolu_01cart', 'assistant', '[]', 'claude-sonnet-4', 1755173101, 1755173109, 1755173109, 'anthropic');
INSERT INTO messages VALUES ('m4', '7f0c0000-0000-4000-8000-000000000002', 'assistant', '[]', 'qwen3:8b', 1755174001, 1755174009, 1755174009, 'ollama');

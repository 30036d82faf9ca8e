"""Where modules are tested that have no tests of their own name; `test_architecture.py` checks both tables.

The rule: the tests of `ledger/storage/journal.py` are in `tests/ledger/storage/test_journal.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["SUITES", "UNTESTED_BY_NAME"]

SUITES: Final[Mapping[str, str]] = {
    # Adapters of one port have the suite of its contract.
    "ledger.storage.store": "ledger/storage/test_store_contract.py",
    "ledger.storage.directory_store": "ledger/storage/test_store_contract.py",
    "ledger.storage.memory_store": "ledger/storage/test_store_contract.py",
    "ledger.replication.replica": "ledger/replication/test_replica_contract.py",
    "ledger.replication.nats": "ledger/replication/test_replica_contract.py",
    "projections.history.moved_parts": "projections/replay/test_move.py",
    "projections.folding.projection": "projections/replay/test_move.py",
    "projections.folding.moves": "projections/replay/test_move.py",
    "projections.history.cost_changes": "projections/history/test_history_contract.py",
    "projections.history.memory": "projections/history/test_history_contract.py",
    "projections.history.open": "projections/history/postgres/test_history.py",
    "projections.history.postgres": "projections/history/postgres/test_history.py",
    "projections.history.sqlite": "projections/history/test_query.py",
    "projections.applications": "projections/applications/test_table.py",
    "ledger.sources.transcript": "ledger/importing/test_transcript_importer.py",
    "projections.folding.basis": "projections/folding/test_breakdown.py",
    "projections.folding.line_values": "projections/folding/test_fold.py",
    "projections.folding.state": "projections/folding/test_fold.py",
    "projections.folding.tree": "projections/folding/test_meters.py",
    "projections.folding.models_used": "projections/cli/commands/test_prices.py",
    "projections.cli.report_options": "projections/cli/commands/test_spend.py",
    "projections.cli.output.groups": "projections/cli/commands/test_spend.py",
    "projections.cli.commands.help": "projections/cli/test_command_line.py",
    "projections.cli.output.without_reader": "projections/cli/test_command_line.py",
    # One query of spend: its dimensions and tags in every split and filter of the same events.
    "projections.reports.dimensions": "projections/reports/test_spend_report.py",
    "projections.reports.filters": "projections/reports/test_spend_report.py",
    "projections.reports.tags": "projections/reports/test_spend_report.py",
    "projections.reports.line": "projections/reports/test_spend_report.py",
    "projections.history.spend_groups": "projections/history/test_history_contract.py",
    # One document is asked for in two ways, and both answers are compared.
    "projections.server.routes.breakdowns": "projections/documents/test_contract.py",
    "projections.documents": "projections/documents/test_contract.py",
    # One table of errors: each is in the tree, is exported, and survives the way to another process.
    "ledger.errors": "ledger/test_errors.py",
    # The parts of an import: any cut, order or repetition of files comes to the row of one clean import.
    "ledger.importing.append_findings": "ledger/importing/test_any_import.py",
    "ledger.importing.import_options": "ledger/importing/test_any_import.py",
    "ledger.importing.importer": "ledger/importing/test_any_import.py",
    "ledger.sources.claude_telemetry": "ledger/importing/test_prompt_planner.py",
    "ledger.importing.call_planner": "ledger/importing/test_planner.py",
    "ledger.importing.ledger_state": "ledger/importing/test_planner.py",
    "ledger.importing.process_planner": "ledger/sources/test_claude_stream.py",
    "ledger.importing.counter_planner": "ledger/sources/test_codex_counters.py",
    "ledger.importing.session_totals": "ledger/importing/test_transcript_importer.py",
    "ledger.importing.joined_messages": "ledger/importing/test_transcript_importer.py",
    "ledger.importing.message_index": "ledger/importing/test_transcript_importer.py",
    "ledger.importing.transcript_job": "ledger/importing/test_transcript_importer.py",
    "ledger.importing.source_follower": "projections/replay/test_watch.py",
    "ledger.sources.transcript_reader": "ledger/sources/test_claude.py",
    "ledger.sources.claude_responses": "ledger/sources/test_claude.py",
    "ledger.claude_code.spool": "projections/claude_code/test_drain.py",
    "ledger.claude_code.statusline_readings": "projections/claude_code/test_drain.py",
    "projections.claude_code.session_cache": "projections/claude_code/test_statusline.py",
    "ledger.capture.result_charging": "ledger/capture/test_agent_results.py",
    # Logs of agents of one shape: the same scenarios over each of them.
    "ledger.sources.gemini": "ledger/sources/test_agents.py",
    "ledger.sources.kimi_code": "ledger/sources/test_agents.py",
    "ledger.sources.opencode": "ledger/sources/test_agents.py",
    "ledger.sources.session_log": "ledger/sources/test_agents.py",
    "ledger.sources.agent_places": "ledger/sources/test_agents.py",
    # Fault campaigns: what only a damaged, copied or stopped system shows.
    "ledger.maintenance.anchors": "faults/test_backup_and_anchor.py",
    "ledger.maintenance.origin_renewal": "faults/test_copied_directory.py",
    "ledger.maintenance.salvage": "faults/test_salvage.py",
    "ledger.storage.locks": "faults/test_unreleased_lock.py",
    "ledger.storage.origin": "faults/test_copied_directory.py",
    "ledger.replication.comparison": "faults/test_replication_under_faults.py",
    "ledger.replication.lag": "ledger/replication/test_sender.py",
    # Projectors between a replica and PostgreSQL, with a real one of each.
    "projections.projector.comparison": "projections/cli/commands/test_replicate.py",
    "projections.projector.postgres_session": "projections/projector/test_projector.py",
    "projections.projector.postgres_version": "projections/projector/test_projector.py",
    "projections.projector.run": "projections/projector/test_projector.py",
    # The fold against a naive model, line by line.
    "projections.folding.attribution": "projections/folding/test_spend.py",
    "projections.replay.file_watcher": "projections/replay/test_watch.py",
    "projections.replay.dry_run": "projections/replay/test_resync.py",
    "projections.replay.drift": "projections/replay/test_rebuild.py",
    # The command line as a person meets it.
    # What was found where is asked for by one command, over samples of all agents.
    "ledger.importing.indexed_sessions": "projections/cli/commands/test_sources.py",
    "projections.reports.found_sources": "projections/cli/commands/test_sources.py",
    "projections.cli.output.skipped": "projections/cli/commands/test_sources.py",
    "projections.cli.first_steps": "projections/cli/commands/test_history.py",
    "projections.cli.completions": "projections/cli/test_command_line.py",
    "projections.cli.option_errors": "projections/cli/commands/test_record.py",
    "projections.cli.correction_receipt": "projections/cli/commands/test_record.py",
    "projections.cli.run_ends": "projections/cli/commands/test_record.py",
    # A whole server that listens.
    "projections.server.background.worker": "projections/server/background/test_source_follower.py",
    "projections.server.asgi": "projections/server/test_app.py",
    "projections.server.service.service": "projections/server/test_app.py",
    "projections.server.http.h11_protocol": "projections/server/http/test_auth.py",
    "projections.server.http.middleware": "projections/server/http/test_auth.py",
    "projections.server.http.parameters": "projections/server/routes/test_workflows.py",
    "projections.server.webhooks.collector": "projections/server/webhooks/test_dispatcher.py",
    "projections.server.background.group_commit": "projections/server/routes/test_events.py",
    "ledger.config.budgets": "ledger/config/test_schema.py",
    "projections.server.background.budget_status": "projections/server/routes/test_events.py",
    "projections.server.background.row_refresher": "projections/server/test_shared_history.py",
    "projections.server.background.verification": "projections/server/routes/test_spend.py",
    "projections.server.background.totals": "projections/server/routes/test_otlp.py",
    "projections.server.background.metrics": "projections/server/routes/test_otlp.py",
    "projections.server.routes.health": "projections/server/routes/test_spend.py",
    "projections.server.routes.login": "projections/server/test_page_away.py",
    "projections.server.routes.webhooks": "projections/server/webhooks/test_dispatcher.py",
}
"""The suite, below `tests/`, of a module; of a package only where all modules are adapters, documents or errors."""

UNTESTED_BY_NAME: Final = frozenset(
    {
        "ledger.importing.auto_import",
        "ledger.sources.history_db",
        "projections.cli.auto_import",
        "projections.cli.commands.anchor",
        "projections.cli.commands.completion",
        "projections.cli.commands.explain",
        "projections.cli.commands.origin",
        "projections.cli.commands.refresh",
        "projections.cli.commands.restore",
        "projections.cli.commands.serve",
        "projections.cli.commands.token",
        "projections.cli.commands.verify",
        "projections.cli.commands.webhooks",
        "projections.cli.options",
        "projections.cli.output.changes",
        "projections.cli.output.console",
        "projections.cli.output.row_csv",
        "projections.cli.prices_in_use",
        "projections.cli.row_filter",
        "projections.cli.session",
        "projections.cli.workflow_lines",
        "projections.reports.overview",
        "projections.server.service.allocator",
    }
)
"""Modules that only the tests of others exercise. The list may only become shorter."""

"""What Claude Code prints while it runs: the status line and its hooks."""

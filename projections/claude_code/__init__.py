"""The status line, its hooks, and what appends what they record."""

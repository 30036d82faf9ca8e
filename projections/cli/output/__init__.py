"""How the command line prints: tables, costs, progress."""

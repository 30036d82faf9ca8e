"""Who is notified of what, and how often it is tried."""

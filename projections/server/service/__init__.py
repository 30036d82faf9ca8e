"""What the server opens, and its settings."""

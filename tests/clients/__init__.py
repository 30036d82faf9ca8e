"""Real clients."""

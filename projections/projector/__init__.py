"""Many hosts' chains to shared rows."""

"""`costledger.toml` and the environment."""

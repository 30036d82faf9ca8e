"""The HTTP API, the live page and what keeps them current; thin shells over the library."""

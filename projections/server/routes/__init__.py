"""One file for each part of the API; every handler parses, calls the library, answers."""

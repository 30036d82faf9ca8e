"""One file for each part of the API; each handler parses, calls the library and answers."""

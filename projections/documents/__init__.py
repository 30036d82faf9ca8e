"""The JSON documents that the command line and the HTTP API answer: one function for each."""

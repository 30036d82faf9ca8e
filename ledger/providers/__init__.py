"""What providers call things: usage, models, responses and their streams."""

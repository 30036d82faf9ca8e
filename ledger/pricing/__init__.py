"""What usage costs: price lists, corrections and agreed rates."""

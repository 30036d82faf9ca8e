"""Events to one row; pure."""

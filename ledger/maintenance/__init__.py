"""What an operator does after damage: salvage, anchors, a new origin."""

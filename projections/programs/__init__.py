"""For programs: workflows that record what they cost, and know it."""

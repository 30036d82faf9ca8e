"""Where rows are stored."""

"""Another application's own table `workflow_history`: compared with our rows, and kept right as a copy of them."""

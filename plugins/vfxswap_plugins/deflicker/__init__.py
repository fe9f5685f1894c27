"""First-party plugins: deflicker."""

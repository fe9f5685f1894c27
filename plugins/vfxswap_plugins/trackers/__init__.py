"""First-party plugins: trackers."""

"""First-party plugins: landmarks."""

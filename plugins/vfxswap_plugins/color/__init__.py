"""First-party plugins: color."""

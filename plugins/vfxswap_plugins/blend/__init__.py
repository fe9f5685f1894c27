"""First-party plugins: blend."""

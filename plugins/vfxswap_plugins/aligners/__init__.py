"""First-party plugins: aligners."""

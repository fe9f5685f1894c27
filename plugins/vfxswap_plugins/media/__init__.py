"""First-party plugins: media."""

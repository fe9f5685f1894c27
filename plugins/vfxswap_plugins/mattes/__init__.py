"""First-party plugins: mattes."""

"""First-party plugins: swappers."""

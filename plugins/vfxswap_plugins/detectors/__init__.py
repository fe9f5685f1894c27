"""First-party plugins: detectors."""

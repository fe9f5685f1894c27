"""The model store: weights by name, pinned by sha256, with their licence. Contract; see the functions."""

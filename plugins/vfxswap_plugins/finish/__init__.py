"""Finishes: what the plate's film and lens did to its picture."""

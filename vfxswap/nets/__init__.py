"""Networks: torch modules that know tensors and nothing of files, frames or settings."""

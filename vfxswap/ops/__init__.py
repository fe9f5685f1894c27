"""Pure tensor functions: warp, Y'CbCr, mattes, colour match, blend, flow. No files, no frames, no settings."""

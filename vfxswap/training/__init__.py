"""Training of swappers and mattes on facesets; a wing that nothing else of the package imports."""

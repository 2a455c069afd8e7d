"""The render worker: turns one task after the other into a finished video."""

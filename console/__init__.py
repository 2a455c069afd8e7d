"""The `reelmill` command: one module per command over one snapshot of the farm."""

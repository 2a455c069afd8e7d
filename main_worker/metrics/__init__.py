"""The figures of the farm: counted, kept for `reelmill status`, and told to Prometheus."""

"""Which nodes there are, how they are, and what is suggested to each."""

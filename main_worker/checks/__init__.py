"""Is a drop what it claims to be? Every tool that reads one does so in the cage."""

"""From a voice and what the library has for it to a task."""

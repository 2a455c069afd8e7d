"""The main worker: turns drops into a library and the library into tasks."""

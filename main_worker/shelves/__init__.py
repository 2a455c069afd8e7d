"""Where drops go: onto the shelves of the library, or into quarantine."""

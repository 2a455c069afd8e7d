"""The farm as a page and as JSON over HTTP."""

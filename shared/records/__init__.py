"""The JSON files of a project root, one module per file, each a frozen value that keeps keys it does not know."""

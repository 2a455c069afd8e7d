"""Link files: addresses, pages, their stories, chunks of text."""

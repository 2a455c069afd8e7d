"""What a render worker does at once: it takes the next task, makes the one before, and delivers the one before that."""

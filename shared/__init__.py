"""What both workers and the console need: configuration, records on disk, the store of tasks, media tools, the log."""

"""Plans as ffmpeg arguments. Pure: nothing here reads a file or starts anything."""

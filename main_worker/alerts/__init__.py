"""What the farm tells people by itself: seen in the folders, decided purely, delivered by webhook, mail and command."""

"""The farm as the faces of the console see it, read from the folders of a root alone."""

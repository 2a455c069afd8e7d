"""The files of a project root, wherever it lies: on a mounted filesystem, or behind an SFTP server."""

"""What an SFTP server refuses, in the words of a tree."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath

from shared.tree.tree import AlreadyThere, NoInformation, NotThere, TreeTrouble


def in_words(path: PurePosixPath, found: bytes | OSError) -> bytes | OSError:
    """What was read; or why it was not, in the words of the seam."""
    if not isinstance(found, OSError):
        return found
    try:
        with told("read", path, asking=True):
            raise found
    except OSError as error:
        return error


@contextmanager
def told(doing: str, path: PurePosixPath, *, asking: bool = False) -> Iterator[None]:
    """What a server refuses, in the words of the seam."""
    try:
        yield
    except (NotThere, AlreadyThere, TreeTrouble):
        raise
    except FileNotFoundError as error:
        raise NotThere(f"Cannot {doing} {path}: it, or the folder it should lie in, is not there") from error
    except PermissionError as error:
        raise TreeTrouble(f"The server does not allow to {doing} {path}: give its user the right to") from error
    except OSError as error:
        if asking:  # a disk that does not answer the server, which is no answer either
            raise NoInformation(
                f'The server could not {doing} {path} and says no more than "{error}": look at its disk'
            ) from error
        raise TreeTrouble(
            f'The server refused to {doing} {path} and says no more than "{error}": its disk may be full, or the '
            "name be of another kind"
        ) from error

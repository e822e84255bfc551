"""Files as the S3 client reads and we read back: watched while they go out, fetched by ranges."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO


class Watched(io.RawIOBase):
    """A file that tells, of each part that is read, how many bytes it had."""

    def __init__(self, path: Path, told: Callable[[Path, int], None]) -> None:
        """Open `path` for reading; `told` gets the path and a number of bytes."""
        self._path = path
        self._told = told
        self._file: BinaryIO = path.open("rb")

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True: S3's client rewinds to sign and to send again."""
        return True

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        """Read into `buffer`; return the number of bytes."""
        count = self._file.readinto(buffer)  # type: ignore[attr-defined]
        self._told(self._path, count)
        return int(count)

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move, and take back what was told beyond that place."""
        before = self._file.tell()
        after = self._file.seek(offset, whence)
        if after < before:
            self._told(self._path, after - before)
        return after

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        super().close()


class Ranges(io.RawIOBase):
    """An object of known size, read by byte ranges; `zipfile` needs only its end."""

    def __init__(self, read: Callable[[int, int], bytes], size: int) -> None:
        """`read(first, last)` returns the bytes from `first` to `last`, both included."""
        self._read = read
        self._size = size
        self._place = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Move to a place; return it."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self._size}[whence]
        if start + offset < 0:
            raise OSError("seek before the start of the object")
        self._place = start + offset
        return self._place

    def tell(self) -> int:
        """Return the place."""
        return self._place

    def readinto(self, buffer: bytearray) -> int:  # type: ignore[override]
        """Read into `buffer`; return the number of bytes, 0 at the end."""
        last = min(self._place + len(buffer), self._size) - 1
        if last < self._place:
            return 0
        part = self._read(self._place, last)
        buffer[: len(part)] = part
        self._place += len(part)
        return len(part)

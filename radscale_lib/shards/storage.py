"""Access to shards in a folder, or at any address that pyarrow can open."""

import mmap
import os
from functools import cached_property
from pathlib import Path
from threading import Lock
from typing import Any

import pyarrow as pa
import pyarrow.fs

OPEN_FILES = 256
"""Number of files kept open, with two descriptors each; the usual process limit is 1,024."""


class LocalFile:
    """A file read at any offset, without a file position.

    Data outside the page cache is read by `read`, never through the mapping: a truncated file or a
    failing disk then raises an error, whereas a mapping would kill the process.
    """

    def __init__(self, path: Path) -> None:
        """Open the file at `path`."""
        self._file = os.open(path, os.O_RDONLY)
        self._probe = [bytearray(1)]
        self._tells = hasattr(os, "RWF_NOWAIT")
        self.size = os.fstat(self._file).st_size

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the range; fewer where the file ends."""
        return os.pread(self._file, length, offset)

    def announce(self, offset: int, length: int) -> bool:
        """Start reading a range from disk, without waiting for it.

        Returns:
            Whether it is already in the page cache, judged by its middle. False if the system does
            not say, as on network file systems.
        """
        if self._tells:
            try:
                place = offset + length // 2
                if os.preadv(self._file, self._probe, place, os.RWF_NOWAIT):
                    return True
            except BlockingIOError:
                pass
            except OSError:
                self._tells = False
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(self._file, offset, length, os.POSIX_FADV_WILLNEED)
        return False

    def view(self, offset: int, length: int) -> memoryview:
        """A range in the page cache, without a copy; fewer bytes at the end of the file."""
        return self._view[offset : offset + length]

    @cached_property
    def _mapping(self) -> mmap.mmap:
        return mmap.mmap(self._file, 0, access=mmap.ACCESS_READ)

    @cached_property
    def _view(self) -> memoryview:
        return memoryview(self._mapping)

    def forget_views(self) -> None:
        """Take the pages of views off this process's memory; the views stay valid."""
        if "_view" in self.__dict__ and hasattr(mmap, "MADV_DONTNEED"):
            self._mapping.madvise(mmap.MADV_DONTNEED)

    def __del__(self) -> None:
        if hasattr(self, "_file"):
            os.close(self._file)


class RemoteFile:
    """A file in an object store or another pyarrow file system, read at any offset."""

    def __init__(self, filesystem: pa.fs.FileSystem, path: str) -> None:
        """Open the file at `path`."""
        self._file = filesystem.open_input_file(path)
        self.size = int(self._file.size())

    def read(self, offset: int, length: int) -> bytes:
        """Bytes of the range; fewer where the file ends."""
        return bytes(self._file.read_at(length, offset))


class Storage:
    """The files of a folder.

    The folder is a path, or an address with `://` that pyarrow opens: `s3://bucket/shards`,
    `gs://…`, `hdfs://…`, or `fsspec+<protocol>://…` for any fsspec file system. A storage can be
    pickled or forked: each process opens its own files.
    """

    def __init__(self, folder: Path | str) -> None:
        """Read from `folder`."""
        self.folder = folder
        self.is_remote = "://" in str(folder)
        self._files: dict[str, LocalFile | RemoteFile] = {}
        self._lock = Lock()

    def __reduce__(self) -> tuple[type["Storage"], tuple[Path | str]]:
        """Start afresh with the same folder."""
        return Storage, (self.folder,)

    @cached_property
    def _remote(self) -> tuple[pa.fs.FileSystem, str]:
        filesystem, path = pa.fs.FileSystem.from_uri(str(self.folder))
        return filesystem, path

    def address(self, name: str) -> str:
        """A file's address for messages, without its options, which may be secret."""
        folder = str(self.folder)
        if self.is_remote:
            scheme, _, rest = folder.partition("?")[0].partition("://")
            folder = f"{scheme}://{rest.rpartition('@')[2]}"
        return f"{folder.rstrip('/')}/{name}"

    def open(self, name: str) -> LocalFile | RemoteFile:
        """Open a file, which stays open while it is among the last `OPEN_FILES` opened.

        Raises:
            OSError: if there is no such file.
        """
        file = self._files.get(name)
        if file is not None:
            return file
        with self._lock:
            file = self._files.get(name) or self._new(name)
            self._files[name] = file
            if len(self._files) > OPEN_FILES:
                del self._files[next(iter(self._files))]
            return file

    def forget_views(self) -> None:
        """Take the pages of views off this process's memory; the views stay valid."""
        for file in self._files.values():
            if isinstance(file, LocalFile):
                file.forget_views()

    def _new(self, name: str) -> LocalFile | RemoteFile:
        if self.is_remote:
            filesystem, path = self._remote
            return RemoteFile(filesystem, f"{path}/{name}")
        return LocalFile(Path(self.folder) / name)

    def for_pyarrow(self, name: str) -> Any:
        """A file in the form that pyarrow's readers take.

        Raises:
            OSError: if there is no such file.
        """
        if self.is_remote:
            filesystem, path = self._remote
            return filesystem.open_input_file(f"{path}/{name}")
        return pa.OSFile(str(Path(self.folder) / name))

"""Read an untrusted zip file: plain files only, each once, and only as many bytes as asked for."""

import io
import stat
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from miii.errors import InputError
from miii.runs.checks import Limits

DIRECTORY = 1_000_000  #: maximum bytes of a zip file's central directory

Read = Callable[[int], bytes]  #: returns up to that many leading bytes of a file


@contextmanager
def opened(file: str | Path | bytes, limits: Limits) -> Iterator[dict[str, Read]]:
    """Yield the files of an untrusted zip file by path; nothing is unpacked until it is read.

    Raises:
        InputError: the file is too large, or not a plain zip file.
    """
    with _zip(_bytes(file, limits), limits) as archive:
        entries = {entry.orig_filename: entry for entry in archive.infolist() if not _folder(entry)}
        if len(entries) < sum(not _folder(entry) for entry in archive.infolist()):
            raise InputError("zip file must hold each file once.")
        for entry in entries.values():
            _check_entry(entry)

        def reader(entry: zipfile.ZipInfo) -> Read:
            return lambda limit: _read_entry(archive, entry, limit)

        yield {path: reader(entry) for path, entry in entries.items()}


def _bytes(file: str | Path | bytes, limits: Limits) -> bytes:
    try:
        if not isinstance(file, bytes) and not stat.S_ISREG(Path(file).stat().st_mode):  # others may be endless
            raise InputError(f"cannot read the file {file!s} (it is a folder, a pipe or a device).")
        size = len(file) if isinstance(file, bytes) else Path(file).stat().st_size
        if size > limits.nbytes:
            raise InputError(f"file must have at most {limits.nbytes:,} bytes (got {size:,}).")
        return file if isinstance(file, bytes) else Path(file).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read the file {file!s} ({error.strerror or error}).") from None


@contextmanager
def _zip(data: bytes, limits: Limits) -> Iterator[zipfile.ZipFile]:
    _check_end(data, limits)
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
    except Exception:  # a hostile directory may raise anything
        raise InputError("file must be a readable zip file.") from None
    with archive:
        yield archive


def _check_end(data: bytes, limits: Limits) -> None:
    """Check the central directory's size, stored at the end of the file, before reading it."""
    if data[-22:-18] != b"PK\5\6" or data[-2:] != b"\0\0":
        raise InputError("file must be a readable zip file without a comment.")
    # a zip64 locator would store the size elsewhere
    if int.from_bytes(data[-10:-6], "little") > DIRECTORY or data[-42:-38] == b"PK\6\7":
        raise InputError(f"zip file must hold at most {limits.files:,} files.")


def _folder(entry: zipfile.ZipInfo) -> bool:
    return entry.orig_filename.endswith("/") and entry.file_size == 0


def _check_entry(entry: zipfile.ZipInfo) -> None:
    kind = stat.S_IFMT(entry.external_attr >> 16)
    if kind not in (0, stat.S_IFREG):
        raise InputError("zip file must hold files and folders only, no links.")
    if entry.flag_bits & 1:
        raise InputError("zip file must not be encrypted.")
    if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise InputError("zip file must be deflated, or not compressed.")


def _read_entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, limit: int) -> bytes:
    try:
        with archive.open(entry) as file:
            return file.read(limit)
    except Exception:  # a damaged or hostile entry may raise anything
        raise InputError("file must be a readable zip file.") from None

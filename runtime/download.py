"""One file from the network, whole and as its check sum says, or not at all."""

from __future__ import annotations

import hashlib
import http.client
import urllib.error
import urllib.request
from pathlib import Path

from runtime.atomic import atomic_path
from runtime.errors import InputError
from runtime.progress import progress

_CHUNK_BYTES = 1 << 20
_TIMEOUT_S = 60.0


def download(url: str, destination: Path, *, sha256: str = "") -> str:
    """Download a file; one that is there stays as it is.

    Args:
        url: http(s) or file address of the file itself, not of a page about it.
        destination: the file to make; its folder is made when missing.
        sha256: check sum in hexadecimal digits, or its first ones; "": nothing to compare with.

    Returns:
        The SHA-256 of the file.

    Raises:
        InputError: if the file is there, the address cannot be read to its end, or the content is
            not the one of the check sum; then nothing is left.
    """
    if destination.exists():
        raise InputError(f"{destination} is there and stays as it is; name another file, or use it")
    digest = hashlib.sha256()
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT_S) as source, atomic_path(destination) as temporary:
            promised = source.headers.get("Content-Length")
            total = int(promised) if promised else None
            chunks = None if total is None else -(-total // _CHUNK_BYTES)
            bar = progress(description=destination.name, total=chunks, unit="MiB")
            with temporary.open("wb") as file, bar:
                while chunk := source.read(_CHUNK_BYTES):
                    digest.update(chunk)
                    file.write(chunk)
                    bar.update()
                found = file.tell()
            if total is not None and found != total:
                raise InputError(f"{url}: ended after {found} of {total} bytes; start the same command again")
            if not digest.hexdigest().startswith(sha256.lower()):
                raise InputError(
                    f"{url}: expected SHA-256 {sha256}, found {digest.hexdigest()}: not the file that was published"
                )
    except (urllib.error.URLError, http.client.HTTPException, TimeoutError, ConnectionError) as error:
        raise InputError(f"{url}: cannot be downloaded ({error}); is there a connection?") from error
    return digest.hexdigest()

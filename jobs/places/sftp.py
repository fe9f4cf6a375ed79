"""SFTP. The server's key is compared with the one in the credential before anything is said."""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import io
import posixpath
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, BinaryIO

from jobs.places.base import (
    BLOCK_BYTES,
    CONNECT_SECONDS,
    READ_SECONDS,
    Found,
    NotThere,
    PlaceError,
    Unavailable,
)
from jobs.places.guard import connect
from jobs.places.names import folder_and_name

AHEAD = 64  # requests of 32 kB that are under way while reading


class SFTP:
    """The files of one account, or of one folder of it."""

    def __init__(self, options: dict[str, Any], secret: dict[str, str]):
        import paramiko  # noqa: PLC0415 - an extra, needed here only

        self.host, self.port = options["host"], int(options["port"] or 22)
        self.folder, self._user = options["folder"], options["user"]
        self._fingerprint, self._secret = options["fingerprint"], secret
        self._paramiko = paramiko
        self._transport: Any = None
        self._open: Any = None

    def __str__(self) -> str:
        return f"The SFTP server {self.host}"

    def list(self, folder: str) -> Iterator[Found]:
        with self._speaking(folder or "."):
            for entry in self._client().listdir_iter(self._path(folder) or "."):
                if stat.S_ISREG(entry.st_mode or 0):
                    modified = dt.datetime.fromtimestamp(entry.st_mtime or 0, dt.UTC)
                    path = f"{folder}/{entry.filename}" if folder else entry.filename
                    yield Found(path, entry.st_size, modified)

    @contextmanager
    def read(self, path: str) -> Iterator[Iterator[bytes]]:
        with self._speaking(path):
            file = self._client().open(self._path(path), "rb")
            file.prefetch(file.stat().st_size, AHEAD)
        with file:
            yield self._blocks(file, path)

    def _blocks(self, file: Any, path: str) -> Iterator[bytes]:
        with self._speaking(path):
            while block := file.read(BLOCK_BYTES):
                yield block

    def write(self, path: str, file: BinaryIO, size: int, token: str) -> None:
        folder, _ = folder_and_name(self._path(path))
        part = f"{folder}/.{token}.part" if folder else f".{token}.part"
        with self._speaking(path):
            client = self._client()
            sent = client.putfo(file, part, file_size=size)
            if sent.st_size != size:
                raise Unavailable(f"{self} kept {sent.st_size:,} of {size:,} bytes of {path!r}.")
            self._rename(client, part, self._path(path))

    def test(self) -> str:
        count = sum(1 for _ in self.list(""))
        return f"{self} answered with the key that is expected: {count:,} files lie there."

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def _rename(self, client: Any, part: str, path: str) -> None:
        """Replace at once where the server can, else remove what is there before."""
        try:
            client.posix_rename(part, path)
        except OSError:
            with suppress(FileNotFoundError):
                client.remove(path)
            client.rename(part, path)

    def _path(self, path: str) -> str:
        return posixpath.join(self.folder, path) if path else self.folder

    def _client(self) -> Any:
        if self._open is None:
            self._transport = self._paramiko.Transport(connect(self.host, self.port))
            self._transport.banner_timeout = self._transport.auth_timeout = CONNECT_SECONDS
            self._transport.start_client(timeout=CONNECT_SECONDS)
            self._check_key()
            self._log_in()
            self._open = self._paramiko.SFTPClient.from_transport(self._transport)
            self._open.get_channel().settimeout(READ_SECONDS)
        return self._open

    def _check_key(self) -> None:
        shown = fingerprint(self._transport.get_remote_server_key().asbytes())
        if shown != self._fingerprint:
            raise PlaceError(
                f"{self} shows the key {shown}, not {self._fingerprint}. It was set up anew, or"
                " somebody is in between: ask who runs it, and only then enter the new key in the"
                " credential. Nothing was sent."
            )

    def _log_in(self) -> None:
        if self._secret.get("private_key"):
            key = self._private_key(self._secret["private_key"], self._secret.get("passphrase"))
            self._transport.auth_publickey(self._user, key)
        else:
            self._transport.auth_password(self._user, self._secret.get("password", ""))

    def _private_key(self, text: str, passphrase: str | None) -> Any:
        kinds = (self._paramiko.Ed25519Key, self._paramiko.ECDSAKey, self._paramiko.RSAKey)
        for kind in kinds:
            with suppress(self._paramiko.SSHException, ValueError, IndexError):
                return kind.from_private_key(io.StringIO(text), passphrase or None)
        raise PlaceError(
            f"The private key for {self} cannot be read: it is an Ed25519, ECDSA or RSA key in PEM"
            " or OpenSSH form, and its passphrase must fit."
        )

    @contextmanager
    def _speaking(self, path: str) -> Iterator[None]:
        try:
            yield
        except self._paramiko.AuthenticationException as error:
            raise PlaceError(
                f"{self} does not let {self._user} in. Correct the user or the secret of the"
                " credential."
            ) from error
        except FileNotFoundError as error:
            raise NotThere(
                f"{self} has no {path!r}. Correct the path, or wait for the file."
            ) from error
        except PermissionError as error:
            raise PlaceError(f"{self}: {self._user} may not open {path!r} there.") from error
        except (self._paramiko.SSHException, EOFError, OSError) as error:
            raise Unavailable(f"{self} failed at {path!r}: {error or 'it hung up'}.") from error


def fingerprint(key: bytes) -> str:
    """As OpenSSH writes it: `SHA256:` and base64."""
    return "SHA256:" + base64.b64encode(hashlib.sha256(key).digest()).decode().rstrip("=")

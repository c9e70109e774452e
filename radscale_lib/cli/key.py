"""Make the secret key of an archive's pseudonyms: a file that only you can read, written once."""

import argparse
import os
import secrets
import sys
from pathlib import Path

from radscale_lib.pseudonyms import key_fingerprint


def main(argv: list[str] | None = None) -> None:
    """Run the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    new = commands.add_parser("new", help="write a new key; an existing file is never overwritten")
    new.add_argument("file", type=Path, help="file named by the study's key_file")
    args = parser.parse_args(argv)
    if not args.file.name or args.file.is_dir():
        sys.exit(f"{args.file}: is a folder: name a file in it")
    try:
        key = new_key(args.file)
    except FileExistsError:
        sys.exit(
            f"{args.file}: already exists and is kept: another key would give other pseudonyms and "
            "other results. For another archive, name another file"
        )
    except OSError as error:
        sys.exit(f"{args.file}: cannot be written ({error.strerror}): choose another place")
    print(
        f"{args.file}: a new key with the fingerprint {key_fingerprint(key)}. Keep a copy in a "
        "safe place: without it, pseudonyms cannot be reproduced."
    )


def new_key(path: Path) -> bytes:
    """Write 32 random bytes, in hexadecimal, to a new file of mode 0600.

    Raises:
        FileExistsError: if the file exists.
    """
    key = secrets.token_hex(32).encode()
    partial = path.with_name(f".{path.name}.{secrets.token_hex(8)}.partial")
    with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(key + b"\n")
        os.fsync(file.fileno())
    try:
        os.link(partial, path)  # fails if the file exists, even if another call has just written it
    finally:
        partial.unlink()
    return key

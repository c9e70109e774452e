"""Fetching weights from a server that speaks the Hub's protocol, on loopback."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urlparse

import pytest
import torch

from radscale_lib.encoders import load
from tests.encoders.libraries import transformers_folder

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[str]:
    """Address of a Hub with one repository, someone/dinov2, in `published`."""
    folder = tmp_path / "published"
    transformers_folder(folder, "dinov2")
    (folder / "pytorch_model.bin").write_bytes(b"the same as a pickle")

    class Hub(BaseHTTPRequestHandler):
        def do_HEAD(self) -> None:
            self.answer(False)

        def do_GET(self) -> None:
            self.answer(True)

        def answer(self, body: bool) -> None:
            path = urlparse(self.path).path
            if path.startswith("/api/models/someone/dinov2"):
                names = [each.name for each in sorted(folder.iterdir())]
                files = [
                    {"type": "file", "path": n, "rfilename": n, "oid": COMMIT, "size": size(n)}
                    for n in names
                ]
                about = {"id": "someone/dinov2", "sha": COMMIT, "siblings": files}
                self.reply(json.dumps(files if "/tree/" in path else about).encode(), body)
            elif (file := folder / path.rpartition("/")[2]).is_file() and "/resolve/" in path:
                self.reply(file.read_bytes(), body)
            else:
                self.send_response(404)
                self.send_header("X-Error-Code", "RepoNotFound")
                self.end_headers()

        def reply(self, content: bytes, body: bool) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(len(content)))
            self.send_header("ETag", f'"{sha256(content).hexdigest()}"')
            self.send_header("X-Repo-Commit", COMMIT)
            self.end_headers()
            if body:
                self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            pass

    def size(name: str) -> int:
        return (folder / name).stat().st_size

    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


FETCH = """
import sys
from radscale_lib.cli.fetch_weights import main
to, *names = sys.argv[1:]
for name in names:
    try:
        main([name, "--to", to])
        print(0)
    except SystemExit as end:
        print(end.code)
"""


def fetch(to: Path, hub: str, *names: str) -> subprocess.CompletedProcess[str]:
    """Fetch weights in one process, whose output are the exit codes."""
    return subprocess.run(
        [sys.executable, "-c", FETCH, str(to), *names],
        env=os.environ
        | {"PYTHONPATH": str(Path.cwd()), "HF_ENDPOINT": hub, "HF_HOME": str(to.parent / "cache")},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_repository_is_fetched_without_pickles(tmp_path: Path, hub: str) -> None:
    ended = fetch(tmp_path / "got", hub, "someone/dinov2")
    assert ended.stdout == "0\n", ended.stderr
    assert not (tmp_path / "got" / "pytorch_model.bin").exists()
    film = load(tmp_path / "published").prepare([torch.zeros(64, 64, dtype=torch.uint8).numpy()])
    assert torch.equal(load(tmp_path / "got")(film), load(tmp_path / "published")(film))


def test_what_cannot_be_fetched_is_told_in_one_line(tmp_path: Path, hub: str) -> None:
    told = {
        "someone/else": "someone/else: cannot be fetched",
        "timm:vit_tiny_patch16": "no weights on the Hub are known by this name",
        "timm:vit_tiny_patch16_224.augreg_in21k": "timm/vit_tiny_patch16_224.augreg_in21k: cannot",
        "open_clip:ViT-B-32/laion2b_s34b_b79k": "laion/CLIP-ViT-B-32-laion2B-s34B-b79K: cannot",
    }
    ended = fetch(tmp_path / "got", hub, *told)
    assert ended.stdout == "1\n" * 4
    for said, line in zip(told.values(), ended.stderr.splitlines(), strict=True):
        assert said in line

"""Released weights: listed, fetched whole and as their check sum says, or with a word on where to click."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pipeline.models import main
from runtime.download import download
from runtime.errors import InputError
from tadaconv.known_weights import KNOWN_WEIGHTS

CONTENT = bytes(range(256)) * 5000  # more than one chunk
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Site(BaseHTTPRequestHandler):
    """/whole.pth is the file; /cut.pth promises it and ends early; nothing else is there."""

    def do_GET(self) -> None:
        if self.path not in ("/whole.pth", "/cut.pth"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT if self.path == "/whole.pth" else CONTENT[:1000])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def site() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Site) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


@pytest.mark.parametrize("sha256", ["", SHA256[:8], SHA256.upper()])
def test_a_file_arrives_whole_in_a_folder_that_is_made(site: str, tmp_path: Path, sha256: str) -> None:
    path = tmp_path / "weights" / "whole.pth"
    assert download(f"{site}/whole.pth", path, sha256=sha256) == SHA256
    assert path.read_bytes() == CONTENT


def test_a_file_that_is_there_stays(site: str, tmp_path: Path) -> None:
    (tmp_path / "mine.pth").write_text("mine")
    with pytest.raises(InputError, match=r"mine\.pth is there and stays as it is"):
        download(f"{site}/whole.pth", tmp_path / "mine.pth")
    assert (tmp_path / "mine.pth").read_text() == "mine"


@pytest.mark.parametrize(
    ("name", "sha256", "reason"),
    [
        ("whole.pth", "0" * 64, f"expected SHA-256 0+, found {SHA256}"),
        ("cut.pth", SHA256, f"ended after 1000 of {len(CONTENT)} bytes"),
        ("none.pth", "", "cannot be downloaded .*404"),
    ],
)
def test_otherwise_nothing_is_left(site: str, tmp_path: Path, name: str, sha256: str, reason: str) -> None:
    with pytest.raises(InputError, match=reason):
        download(f"{site}/{name}", tmp_path / "file.pth", sha256=sha256)
    assert list(tmp_path.iterdir()) == []


def test_no_connection(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"cannot be downloaded .*refused.*is there a connection"):
        download("http://127.0.0.1:9/x.pth", tmp_path / "x.pth")


def test_all_released_weights_are_listed_with_their_licence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    listed = capsys.readouterr().out
    for known in KNOWN_WEIGHTS:
        assert f"{known.name} " in listed
        assert known.url in listed
        assert f"licence: {known.licence}\n" in listed


def test_files_behind_a_page_are_named_with_what_to_click(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", "tada2d_k400_8x8"]) == 2
    said = capsys.readouterr().err
    assert "open https://drive.google.com/file/d/1YsbTKLoDwxtStAsP5oxUMbIsw85NvY0O/view in a browser" in said


def test_an_unknown_name_is_told_with_the_nearest(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["fetch", "torchvision_resnet50"]) == 2
    assert "did you mean torchvision_resnet50_v" in capsys.readouterr().err

"""The cases of Plug's test/plug/upload_test.exs that an upload has without Erlang's processes."""

import asyncio
import gc
import subprocess
import sys
from pathlib import Path

import pytest

from plugpy.conn import Conn
from plugpy.plugs import Parsers
from plugpy.plugs.parsers import Multipart
from plugpy.testing import call, conn
from plugpy.upload import Upload

BODY = (
    b'--b\r\ncontent-disposition: form-data; name="a"; filename="sample"\r\n\r\nsample\r\n--b--\r\n'
)
FORM = {"content-type": "multipart/form-data; boundary=b"}


def request(folder: Path) -> Conn:
    parsers = Parsers(parsers=[Multipart(directory=str(folder))])
    return call(parsers, conn("POST", "/", BODY, FORM))


def upload_of(c: Conn) -> Upload:
    upload = c.body_params["a"]
    assert isinstance(upload, Upload)
    assert Path(upload.path).read_bytes() == b"sample"
    return upload


def test_removes_the_random_file_on_process_death(tmp_path: Path) -> None:
    c = request(tmp_path)
    path = Path(upload_of(c).path)
    assert path.parent == tmp_path
    assert path.stat().st_mode & 0o777 == 0o600
    del c
    gc.collect()
    assert not path.exists()


def test_removes_the_random_file_on_request(tmp_path: Path) -> None:
    c = request(tmp_path)
    upload = upload_of(c)
    upload.delete()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        upload.open()
    upload.delete()


def test_terminate_removes_all_files(tmp_path: Path) -> None:
    code = (
        "import sys; sys.path.insert(0, sys.argv[2])\n"
        "from pathlib import Path\n"
        "import test_upload\n"
        "kept = test_upload.request(Path(sys.argv[1]))\n"
        "print(kept.body_params['a'].path)"
    )
    here = str(Path(__file__).parent)
    ended = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path), here],
        check=True,
        capture_output=True,
        text=True,
    )
    assert ended.stdout.startswith(str(tmp_path))
    assert list(tmp_path.iterdir()) == []


def test_give_away_assigns_ownership_to_other_pid(tmp_path: Path) -> None:
    c = request(tmp_path)
    path = Path(upload_of(c).keep())
    moved = request(tmp_path)
    target = tmp_path / "moved"
    asyncio.run(upload_of(moved).move(target))
    del c, moved
    gc.collect()
    assert path.read_bytes() == target.read_bytes() == b"sample"
    assert sorted(tmp_path.iterdir()) == sorted([path, target])


def test_give_away_with_invalid_path_returns_error(tmp_path: Path) -> None:
    c = request(tmp_path)
    upload = upload_of(c)
    with pytest.raises(OSError, match="nowhere"):
        asyncio.run(upload.move(tmp_path / "nowhere" / "sample"))
    target = tmp_path / "there"
    target.write_bytes(b"mine")
    with pytest.raises(FileExistsError):
        asyncio.run(upload.move(target))
    assert target.read_bytes() == b"mine"
    assert Path(upload.path).read_bytes() == b"sample"

"""Readers of well-known data sets, on small files of their formats, and the downloader, against a server of its own."""

import gzip
import hashlib
import io
import struct
import tarfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import numpy as np
import pytest

from twain.datasets import cifar10, cifar100, download, fashion_mnist, images, mnist
from twain.datasets.download import obtain


def idx(array):
    return struct.pack(f">HBB{array.ndim}I", 0, 8, array.ndim, *array.shape) + array.tobytes()


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("load", [mnist, fashion_mnist])
def test_idx_readers(tmp_path, load, packed):
    rng = np.random.default_rng(0)
    for part, count in (("train", 5), ("t10k", 3)):
        pixels = rng.integers(0, 256, (count, 28, 28), dtype="uint8")
        labels = rng.integers(0, 10, count, dtype="uint8")
        for name, array in ((f"{part}-images-idx3-ubyte", pixels), (f"{part}-labels-idx1-ubyte", labels)):
            if packed:
                (tmp_path / f"{name}.gz").write_bytes(gzip.compress(idx(array)))
            else:
                (tmp_path / name).write_bytes(idx(array))
        x, y = load("train" if part == "train" else "test", folder=tmp_path)
        assert x.shape == (count, 1, 28, 28) and y.tolist() == labels.tolist()
        assert np.allclose(x.numpy()[:, 0], pixels / 255)
    with pytest.raises(ValueError, match="'train' or 'test', got 'all'"):
        load("all", folder=tmp_path)
    (tmp_path / ("t10k-labels-idx1-ubyte" + ".gz" * packed)).write_bytes(idx(labels[:2]))
    with pytest.raises(ValueError, match="a label for each of 3 images, got 2"):
        load("test", folder=tmp_path)
    with pytest.raises(OSError, match="no such file there"):
        load("test", folder=tmp_path / "elsewhere")


def records(rng, count, label_bytes, classes):
    rows = rng.integers(0, 256, (count, label_bytes + 3072), dtype="uint8")
    rows[:, :label_bytes] = rng.integers(0, classes, (count, label_bytes))
    return rows


@pytest.mark.parametrize("archive", [True, False])
def test_cifar(tmp_path, archive):
    rng = np.random.default_rng(0)
    tens = {f"data_batch_{n}.bin": records(rng, 2, 1, 10) for n in range(1, 6)} | {
        "test_batch.bin": records(rng, 3, 1, 10)
    }
    hundreds = {"train.bin": records(rng, 4, 2, 20), "test.bin": records(rng, 2, 2, 20)}
    for name, files in (("cifar-10-binary", tens), ("cifar-100-binary", hundreds)):
        inner = "cifar-10-batches-bin" if files is tens else name
        if archive:
            with tarfile.open(tmp_path / f"{name}.tar.gz", "w:gz") as tar:
                for file, rows in files.items():
                    member = tarfile.TarInfo(f"{inner}/{file}")
                    member.size = rows.nbytes
                    tar.addfile(member, io.BytesIO(rows.tobytes()))
        else:
            (tmp_path / inner).mkdir()
            for file, rows in files.items():
                (tmp_path / inner / file).write_bytes(rows.tobytes())
    x, y = cifar10(folder=tmp_path)
    whole = np.concatenate([tens[f"data_batch_{n}.bin"] for n in range(1, 6)])
    assert x.shape == (10, 3, 32, 32) and y.tolist() == whole[:, 0].tolist()
    assert np.allclose(x.numpy().reshape(10, -1), whole[:, 1:] / 255)
    assert cifar10("test", folder=tmp_path)[1].tolist() == tens["test_batch.bin"][:, 0].tolist()
    for coarse in (False, True):
        x, y = cifar100(folder=tmp_path, coarse=coarse)
        assert y.tolist() == hundreds["train.bin"][:, 0 if coarse else 1].tolist()
        assert np.allclose(x.numpy().reshape(4, -1), hundreds["train.bin"][:, 2:] / 255)
    if archive:
        path = tmp_path / "cifar-10-binary.tar.gz"
        path.write_bytes(path.read_bytes()[:2000])
    else:
        (tmp_path / "cifar-10-batches-bin/data_batch_3.bin").write_bytes(b"\0" * 3000)
    with pytest.raises(ValueError, match=r"\[cifar10\].*(archive|truncated)"):
        cifar10(folder=tmp_path)


class Server(ThreadingHTTPServer):
    """Serves one content; may break off, ignore ranges, or lie."""

    content = b""
    breaks_after: int | None = None
    knows_ranges = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[str | None] = []


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        server = self.server
        asked = self.headers.get("Range")
        server.asked.append(asked)
        if self.path != "/file.gz":
            self.send_error(404)
            return
        begin = int(asked[6:-1]) if asked and server.knows_ranges else 0
        if begin and begin >= len(server.content):
            self.send_error(416)
            return
        rest = server.content[begin:]
        self.send_response(206 if begin else 200)
        self.send_header("Content-Length", str(len(rest)))
        self.end_headers()
        self.wfile.write(rest if server.breaks_after is None else rest[: server.breaks_after])

    def log_message(self, *arguments):
        pass


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("TWAIN_DATA", str(tmp_path / "cache"))
    with Server() as served:
        served.content = np.random.default_rng(0).bytes(50_000)
        thread = threading.Thread(target=served.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield served
        served.shutdown()
        thread.join()


@pytest.mark.parametrize("ranges", [True, False])
def test_downloads_are_checked_resumed_and_kept(server, tmp_path, ranges):
    url = f"http://127.0.0.1:{server.server_port}/file.gz"
    md5 = hashlib.md5(server.content).hexdigest()
    server.knows_ranges = ranges
    server.breaks_after = 20_000
    with pytest.raises(OSError, match=r"broke after 20000 of 50000 bytes.*folder="):
        obtain("file.gz", [url], md5, None, "mnist")
    part = tmp_path / "cache/mnist/file.gz.part"
    assert part.stat().st_size == 20_000
    server.breaks_after = None
    path = obtain("file.gz", [url], md5, None, "mnist")
    assert path.read_bytes() == server.content and not part.exists() and server.asked[-1] == "bytes=20000-"
    count = len(server.asked)
    assert obtain("file.gz", [url], md5, None, "mnist") == path and len(server.asked) == count  # from the cache
    path.write_bytes(b"damaged")
    assert obtain("file.gz", [url], md5, None, "mnist").read_bytes() == server.content
    path.unlink()
    part.write_bytes(b"x" * 100)  # the beginning of something else
    assert obtain("file.gz", [url + ".missing", url], md5, None, "mnist").read_bytes() == server.content
    path.rename(part)  # whole, but not yet in its place
    assert obtain("file.gz", [url], md5, None, "mnist").read_bytes() == server.content


def test_wrong_content_is_refused(server, tmp_path):
    url = f"http://127.0.0.1:{server.server_port}/file.gz"
    with pytest.raises(OSError, match="expected the MD5 checksum 00"):
        obtain("file.gz", [url], "00", None, "mnist")
    assert list((tmp_path / "cache/mnist").iterdir()) == []
    with pytest.raises(OSError, match=r"Not Found.*where there is no network|Not Found.*Where there is no network"):
        obtain("other.gz", [url + "x"], "00", None, "mnist")


def test_readers_say_what_to_do_without_a_network(monkeypatch, tmp_path):
    monkeypatch.setenv("TWAIN_DATA", str(tmp_path))
    nowhere = "http://127.0.0.1:9/"  # the discard port: nobody listens
    monkeypatch.setattr(images, "_MNIST", (nowhere,))
    monkeypatch.setattr(images, "_CIFAR", nowhere)
    for load in (mnist, cifar10, cifar100):
        with pytest.raises(download.DownloadError, match=r"could not be downloaded.*folder=\.\.\., or put it to"):
            load()

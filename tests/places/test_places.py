"""What every place does alike: list, read, write, and say what went wrong."""

from __future__ import annotations

import io
import os
import socket
from pathlib import Path

import pytest

from jobs.places import Folder, NotThere, Place, PlaceError, Unavailable, connect, newest
from tests.places.conftest import FILES, PASSWORD, sftp_options
from tests.places.servers import SftpServer, WebServer


def content(place: Place, path: str) -> bytes:
    with place.read(path) as blocks:
        return b"".join(blocks)


def write(place: Place, path: str, data: bytes) -> None:
    place.write(path, io.BytesIO(data), len(data), "token")


def test_a_file_is_read_as_it_lies_there(place: Place):
    assert content(place, "feed/other.csv") == FILES["feed/other.csv"]


def test_a_folder_lists_its_files_and_no_deeper(place: Place):
    write(place, "top.csv", b"1")
    assert {found.path for found in place.list("feed")} == set(FILES)
    assert [found.path for found in place.list("")] == ["top.csv"]
    sizes = {found.path: found.size for found in place.list("feed")}
    assert sizes == {name: len(data) for name, data in FILES.items()}


def test_the_newest_file_that_fits_a_pattern_is_found(place: Place):
    assert newest(place, "feed/products-*.csv").path == "feed/products-2.csv"


def test_a_pattern_that_fits_nothing_says_so(place: Place):
    with pytest.raises(NotThere, match=r"no file that fits 'feed/x-\*.csv'; 3 files were compared"):
        newest(place, "feed/x-*.csv")


def test_what_is_written_replaces_what_was_there(place: Place):
    large = os.urandom(3_000_000)
    write(place, "feed/other.csv", b"before")
    write(place, "feed/other.csv", large)
    assert content(place, "feed/other.csv") == large
    assert {found.path for found in place.list("feed")} == set(FILES)


def test_an_empty_file_is_written(place: Place):
    write(place, "feed/empty.csv", b"")
    assert content(place, "feed/empty.csv") == b""


def test_a_missing_file_is_named_with_its_place(place: Place):
    with pytest.raises(NotThere, match=r"has no 'feed/nothing.csv'"):
        content(place, "feed/nothing.csv")


def test_a_place_says_that_it_was_reached(place: Place):
    assert "files" in place.test()


# --- S3 ------------------------------------------------------------------------------------------


def test_a_folder_of_a_bucket_is_where_paths_begin(bucket: dict[str, str]):
    secret = {"secret_key": PASSWORD}
    whole, part = connect("s3", bucket, secret), connect("s3", bucket | {"folder": "in"}, secret)
    write(part, "a.csv", b"a")
    assert content(whole, "in/a.csv") == b"a"
    assert [found.path for found in part.list("")] == ["a.csv"]


def test_a_bucket_that_is_not_there_is_said(bucket: dict[str, str]):
    gone = connect("s3", bucket | {"bucket": "no-such-bucket"}, {"secret_key": PASSWORD})
    with pytest.raises(NotThere, match="The bucket no-such-bucket has no"):
        gone.test()


def test_an_s3_server_that_does_not_answer_may_be_tried_again(bucket: dict[str, str]):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    away = connect(
        "s3", bucket | {"endpoint": f"http://127.0.0.1:{port}"}, {"secret_key": PASSWORD}
    )
    with pytest.raises(Unavailable, match="did not answer"):
        away.test()


# --- SFTP ----------------------------------------------------------------------------------------


def test_a_server_with_another_key_gets_no_password(sftp: SftpServer):
    options = sftp_options(sftp) | {"fingerprint": "SHA256:" + "A" * 43}
    place = connect("sftp", options, {"password": PASSWORD})
    with pytest.raises(PlaceError, match=r"shows the key SHA256:.*Nothing was sent"):
        place.test()
    place.close()


def test_a_wrong_password_is_said_and_not_shown(sftp: SftpServer):
    place = connect("sftp", sftp_options(sftp), {"password": "wrong one"})
    with pytest.raises(PlaceError, match="does not let feeds in") as refused:
        place.test()
    assert "wrong one" not in str(refused.value)
    place.close()


def test_a_private_key_lets_in(tmp_path: Path):
    import asyncssh

    from tests.places.servers import sftp_server

    key = asyncssh.generate_private_key("ssh-ed25519")
    authorized = tmp_path / "authorized_keys"
    authorized.write_bytes(key.export_public_key())
    (tmp_path / "root").mkdir()
    with sftp_server(tmp_path / "root", authorized) as server:
        private = key.export_private_key("openssh", passphrase="of the key").decode()
        secret = {"private_key": private, "passphrase": "of the key"}
        place = connect("sftp", sftp_options(server), secret)
        write(place, "a.csv", b"a")
        assert content(place, "a.csv") == b"a"
        place.close()
        wrong = connect("sftp", sftp_options(server), secret | {"passphrase": "no"})
        with pytest.raises(PlaceError, match=r"private key .* cannot be read"):
            wrong.test()
        wrong.close()


# --- HTTPS ---------------------------------------------------------------------------------------


def test_a_web_server_gives_and_takes_files(web: WebServer):
    web.files["/feed/a b.csv"] = b"a"
    place = connect("https", {"base_url": f"{web.url}/feed"}, {"token": PASSWORD})
    assert content(place, "a b.csv") == b"a"
    write(place, "b.csv", b"b")
    assert web.files["/feed/b.csv"] == b"b"
    assert {asked[2]["Authorization"] for asked in web.asked} == {f"Bearer {PASSWORD}"}


def test_a_web_server_that_cannot_be_listed_takes_no_pattern(web: WebServer):
    with pytest.raises(PlaceError, match="cannot be asked which files it has"):
        newest(connect("https", {"base_url": web.url}, {}), "*.csv")


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (403, PlaceError, "refuses 'a.csv' .403.: the account may not"),
        (404, NotThere, "has no 'a.csv'"),
        (302, PlaceError, "sends elsewhere .* not followed"),
        (429, Unavailable, "failed at 'a.csv' .429."),
        (503, Unavailable, "failed at 'a.csv' .503."),
    ],
)
def test_an_answer_is_a_sentence(web: WebServer, status: int, kind: type[Exception], said: str):
    web.answers["/a.csv"] = (status, {"Location": f"{web.url}/b.csv"}, b"because")
    place = connect("https", {"base_url": web.url}, {})
    with pytest.raises(kind, match=said):
        content(place, "a.csv")
    with pytest.raises(kind, match=said):
        write(place, "a.csv", b"a")
    assert "/b.csv" not in [path for _, path, _ in web.asked]


def test_a_file_that_is_cut_off_is_not_taken_for_whole(web: WebServer):
    web.answers["/a.csv"] = (200, {"Content-Length": "100"}, b"only this")
    place = connect("https", {"base_url": web.url}, {})
    with pytest.raises(Unavailable):
        content(place, "a.csv")


# --- Folders of the server -----------------------------------------------------------------------


def test_no_link_leads_out_of_a_folder(server_folder: Path, tmp_path: Path):
    secret = tmp_path / "secret.csv"
    secret.write_text("secret")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "a.csv").write_text("secret")
    (server_folder / "link.csv").symlink_to(secret)
    (server_folder / "linked").symlink_to(tmp_path / "other")
    place = Folder("feeds")
    for path in ("link.csv", "linked/a.csv"):
        with pytest.raises(PlaceError, match="link"):
            content(place, path)
    with pytest.raises(PlaceError, match="link"):
        write(place, "linked/b.csv", b"b")
    assert not (tmp_path / "other" / "b.csv").exists()
    assert list(place.list("")) == []
    write(place, "link.csv", b"new")  # the link is replaced, not followed
    assert secret.read_text() == "secret"


def test_a_pipe_is_no_file_and_holds_nobody_up(server_folder: Path):
    os.mkfifo(server_folder / "pipe.csv")
    with pytest.raises(PlaceError, match="not a plain file"):
        content(Folder("feeds"), "pipe.csv")


def test_a_folder_that_the_settings_do_not_name_is_none(server_folder: Path):
    with pytest.raises(PlaceError, match="no folder 'etc' of the server: JOBS_FOLDERS names feeds"):
        Folder("etc")

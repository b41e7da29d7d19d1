"""One model in three object stores, and the stand-in for Azure where Azurite cannot run."""

from __future__ import annotations

import hashlib

import pytest

from course_lib.cloud import azure, emulators, sandbox_resources, storage
from course_lib.cloud.errors import CloudError
from course_lib.cloud.providers.emulators import Emulators

MODELS = {f"models/{number:02}/m": bytes([number, 255]) for number in range(23)} | {"logs/x": b"", "models-old/m": b"o"}


@pytest.fixture(scope="module")
def standin():
    with Emulators(azurite=False) as here:
        yield here


@pytest.mark.parametrize("scheme", ["s3", "az", "gs"])
def test_a_store_lists_all_pages_reads_bytes_and_never_overwrites(clouds, scheme):
    with sandbox_resources.buckets(clouds.urls, (scheme, MODELS)) as (address,):
        store = storage.open_store(address, clouds.urls)
        assert store.keys("models/") == sorted(key for key in MODELS if key.startswith("models/"))
        assert store.keys("nothing/") == []
        assert (store.read("models/03/m"), store.read("logs/x")) == (b"\x03\xff", b"")
        with pytest.raises(CloudError, match="There is an object models/03/m"):
            store.write("models/03/m", b"new")
        assert store.read("models/03/m") == b"\x03\xff"


@pytest.mark.parametrize(("one", "other"), [("s3", "az"), ("az", "gs"), ("gs", "s3")])
def test_a_copy_has_the_same_bytes_and_can_be_repeated(clouds, one, other):
    with sandbox_resources.buckets(clouds.urls, (one, MODELS), (other, {})) as (start, end):
        source, target = storage.open_store(start, clouds.urls), storage.open_store(end, clouds.urls)
        wanted = {key: hashlib.sha256(MODELS[key]).hexdigest() for key in MODELS if key.startswith("models/0")}
        assert storage.copy_all(source, target, "models/0") == wanted
        assert storage.copy_all(source, target, "models/0") == wanted
        target.write("logs/x", b"another")
        with pytest.raises(CloudError, match="already"):
            storage.copy_all(source, target)


@pytest.mark.parametrize("address", ["desk", "ftp://desk", "s3://", "s3://desk/key", ""])
def test_what_is_no_bucket_is_refused(address):
    with pytest.raises(CloudError, match="no address of a bucket"):
        storage.open_store(address, {"s3": "http://127.0.0.1:1"})


def test_a_cloud_that_nobody_named_is_refused():
    with pytest.raises(CloudError, match="how az:// is reached"):
        storage.open_store("az://desk", {"s3": "http://127.0.0.1:1"})


def test_without_azurite_the_stand_in_answers_and_says_so(standin):
    assert "stand-in" in standin.azure_engine
    with sandbox_resources.buckets(standin.urls, ("az", MODELS), ("gs", {})) as (start, end):
        source, target = (storage.open_store(address, standin.urls) for address in (start, end))
        assert storage.copy_all(source, target) == {k: hashlib.sha256(v).hexdigest() for k, v in MODELS.items()}
        with pytest.raises(CloudError, match="already"):
            source.write("logs/x", b"new")
    assert standin.running  # stopped by the fixture


def conversation(url):
    """Return what an emulator of Azure Blob Storage says to one call after the other."""
    from azure.core.exceptions import HttpResponseError

    service = azure.client(url)
    box = service.create_container("same-answers")
    blob = box.get_blob_client("a/b c&d")
    etag = blob.upload_blob(b"0123456789")["etag"]
    pages = box.list_blobs(results_per_page=1).by_page()
    said = [box.download_blob("a/b c&d", offset=3, length=4).readall(), [one.name for page in pages for one in page]]
    for call in (
        lambda: service.create_container("same-answers"),
        lambda: box.upload_blob("a/b c&d", b"x"),
        lambda: blob.upload_blob(b"x", overwrite=True, etag='"0xOLD"', match_condition=_match()),
        lambda: box.download_blob("missing").readall(),
        lambda: box.delete_blob("missing"),
        lambda: service.get_container_client("missing").list_blobs().next(),
    ):
        with pytest.raises(HttpResponseError) as refused:
            call()
        code = refused.value.error_code  # an enumeration, or its text
        said.append((type(refused.value).__name__, refused.value.status_code, getattr(code, "value", code)))
    blob.upload_blob(b"y", overwrite=True, etag=etag, match_condition=_match())
    said += [blob.download_blob().readall(), box.get_blob_client("missing").exists(), box.exists()]
    box.delete_blob("a/b c&d")
    box.delete_container()
    return [*said, box.exists()]


def test_the_stand_in_answers_as_azurite_does(clouds, standin):
    assert conversation(standin.azure) == conversation(clouds.azure)


def _match():
    from azure.core import MatchConditions

    return MatchConditions.IfNotModified


def test_what_the_stand_in_does_not_know_is_an_error(standin):
    from azure.core.exceptions import HttpResponseError

    box = azure.client(standin.azure).create_container("unknown-things")
    box.upload_blob("a", b"1")
    with pytest.raises(HttpResponseError, match="The stand-in does not know PUT"):
        box.get_blob_client("a").create_snapshot()
    with pytest.raises(HttpResponseError, match="no name for a container"):
        azure.client(standin.azure).create_container("Not_A_Name")
    box.delete_container()


def test_an_emulator_that_has_stopped_is_reported(standin):
    with Emulators(azurite=False) as here:
        assert here.running == ()
        assert here.gcp.startswith("http://127.0.0.1:")
        here._servers["gcp"].stop()
        with pytest.raises(CloudError, match="has stopped"):
            _ = here.gcp
    assert here.running == ()


def test_azurite_is_looked_for_where_it_was_put(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_AZURITE", str(tmp_path))
    assert emulators.azurite_program() is None
    assert emulators.azurite_version() is None
    assert "stand-in" in Emulators().azure_engine

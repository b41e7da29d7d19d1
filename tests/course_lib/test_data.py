from __future__ import annotations

import shutil
import zipfile

import pandas as pd
import pytest

from course_lib import data
from course_lib.errors import DataError


@pytest.fixture(scope="module")
def own_root(tmp_path_factory):
    """A cache of this module's own, which its tests may damage one month each."""
    root = tmp_path_factory.mktemp("cache")
    data.ingest(root=root)
    return root


def test_the_year_has_every_flight_once():
    listed = data.partitions(data.MONTHS)
    assert [partition.month for partition in listed] == list(range(1, 13))
    assert sum(partition.rows for partition in listed) == 336_776


def test_flights_come_sorted_by_scheduled_departure(winter):
    assert winter["sched_dep"].is_monotonic_increasing
    assert winter["flight_id"].is_unique
    assert set(winter["month"]) == {1, 2, 3, 4}


def test_weather_joins_nearly_every_flight(winter):
    assert winter["temp"].notna().mean() > 0.99


def test_weather_was_observed_before_the_flight_left(winter):
    # The row stamped h is read at h:51, so a flight that leaves in hour h gets the row stamped h-1.
    raw = pd.read_csv(data.raw_folder() / "weather.csv")
    flight = winter[(winter["origin"] == "EWR") & winter["temp"].notna()].iloc[500]
    stamp = (flight["time_hour"] - pd.Timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
    observed = raw[(raw["origin"] == "EWR") & (raw["time_hour"] == stamp)].iloc[0]
    assert flight["temp"] == observed["temp"]
    assert flight["wind_speed"] == observed["wind_speed"]


def test_late_means_fifteen_minutes_or_more(winter):
    arrived = winter.dropna(subset=["arr_delay"])
    assert (arrived["late"] == (arrived["arr_delay"] >= 15)).all()
    assert arrived.loc[arrived["arr_delay"] == 15, "late"].all()
    assert not arrived.loc[arrived["arr_delay"] == 14, "late"].any()


def test_cancelled_and_diverted_flights_have_no_label_and_no_time_for_it(winter):
    gone = winter[winter["arr_delay"].isna()]
    assert len(gone) > 1000
    assert gone["late"].isna().all()
    assert gone["label_known_at"].isna().all()


def test_a_label_is_known_after_the_flight_has_landed(winter):
    arrived = winter.dropna(subset=["air_time"])
    minutes = (arrived["label_known_at"] - arrived["sched_dep"]).dt.total_seconds() / 60
    on_the_ground = minutes - arrived["dep_delay"] - arrived["air_time"]
    assert on_the_ground.between(4, 240).all()  # taxiing out and in


def test_labelled_leaves_out_what_had_not_landed(winter):
    moment = pd.Timestamp("2013-01-15 18:00", tz="UTC")
    known = data.labelled(winter, as_of=moment)
    assert known["label_known_at"].max() <= moment
    assert known["late"].dtype == bool
    in_the_air = winter[(winter["sched_dep"] < moment) & (winter["label_known_at"] > moment)]
    assert len(in_the_air) > 50
    assert not set(in_the_air["flight_id"]) & set(known["flight_id"])


def test_a_planted_label_from_the_future_is_not_used(winter):
    planted = winter.head(100).copy()
    planted.loc[planted.index[0], ["late", "label_known_at"]] = [True, pd.Timestamp("2013-12-31", tz="UTC")]
    known = data.labelled(planted, as_of="2013-01-02")
    assert planted["flight_id"].iloc[0] not in set(known["flight_id"])


def test_a_moment_without_time_zone_is_utc(winter):
    naive = data.labelled(winter, as_of="2013-01-10 12:00")
    aware = data.labelled(winter, as_of=pd.Timestamp("2013-01-10 12:00", tz="UTC"))
    assert len(naive) == len(aware) > 0


def test_scheduled_minutes_cross_time_zones(winter):
    by_dest = winter.groupby("dest")["sched_minutes"].median()
    assert 370 <= by_dest["LAX"] <= 400
    assert 640 <= by_dest["HNL"] <= 700
    assert 220 <= by_dest["SJU"] <= 250


def test_columns_can_be_chosen():
    assert list(data.flights([2], columns=["origin", "late"]).columns) == ["origin", "late"]


def test_an_unknown_column_is_a_clear_error():
    with pytest.raises(DataError, match="cannot be read"):
        data.flights([2], columns=["no_such_column"])


@pytest.mark.parametrize("months", [[], [0], [13], [1, 14]])
def test_months_outside_the_year_are_refused(months):
    with pytest.raises(DataError, match="There are no flights for months"):
        data.flights(months)


def test_a_corrupt_partition_is_refused_and_says_how_to_rebuild(own_root):
    (partition,) = data.partitions([3], root=own_root)
    content = bytearray(partition.path.read_bytes())
    content[len(content) // 2] ^= 1
    partition.path.write_bytes(content)
    with pytest.raises(DataError, match=r"corrupt[\s\S]*ingest\(force=True\)"):
        data.flights([3], root=own_root)


def test_a_truncated_partition_is_refused(own_root):
    (partition,) = data.partitions([4], root=own_root)
    partition.path.write_bytes(partition.path.read_bytes()[:1000])
    with pytest.raises(DataError, match="corrupt"):
        data.flights([4], root=own_root)


def test_a_missing_partition_is_named(own_root):
    (partition,) = data.partitions([5], root=own_root)
    partition.path.unlink()
    with pytest.raises(DataError, match=r"flights-2013-05\.parquet is missing"):
        data.flights([5], root=own_root)


def test_building_again_mends_a_damaged_cache(tmp_path, own_root):
    root = tmp_path / "cache"
    shutil.copytree(own_root, root)
    (partition,) = data.partitions([6], root=root)
    good = partition.sha256
    partition.path.write_bytes(b"not Parquet")
    data.ingest(root=root, force=True)
    (mended,) = data.partitions([6], root=root)
    assert mended.sha256 == good  # the same bytes from the same raw files
    assert len(data.flights([6], root=root)) == mended.rows


def test_missing_raw_files_are_named(tmp_path):
    with pytest.raises(DataError, match=r"flights\.csv\.zip, weather\.csv, airports\.csv"):
        data.ingest(raw=tmp_path, root=tmp_path / "cache")


def test_an_empty_month_is_refused_and_nothing_is_published(tmp_path):
    raw = tmp_path / "raw"
    shutil.copytree(data.raw_folder(), raw, ignore=shutil.ignore_patterns("planes.csv"))
    year = pd.read_csv(raw / "flights.csv.zip")
    small = year[year["month"] != 7].groupby("month").head(50)
    (raw / "flights.csv.zip").unlink()
    small.to_csv(raw / "flights.csv.zip", index=False, compression={"method": "zip", "archive_name": "flights.csv"})
    with pytest.raises(DataError, match="Month 7 of the raw data holds no flight"):
        data.ingest(raw=raw, root=tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("manifest.json"))


def test_a_broken_archive_is_a_clear_error(tmp_path):
    raw = tmp_path / "raw"
    shutil.copytree(data.raw_folder(), raw)
    (raw / "flights.csv.zip").write_bytes(b"PK not a zip")
    with pytest.raises(DataError, match="cannot be read") as caught:
        data.ingest(raw=raw, root=tmp_path / "cache")
    assert isinstance(caught.value.__cause__, zipfile.BadZipFile)


def test_the_cache_follows_the_environment_variable(monkeypatch, tmp_path):
    monkeypatch.setenv("COURSE_CACHE", str(tmp_path))
    assert data.cache_dir() == tmp_path

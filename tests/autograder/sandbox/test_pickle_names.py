"""What the judge unpickles: the libraries' own models and frames, whole; nothing that runs or reaches elsewhere."""

# ruff: noqa: E501 - lists of names and small programs read best on few lines
from __future__ import annotations

import importlib
import io
import pickle
import warnings
from typing import Any

import numpy as np
import pandas as pd
import pytest

from autograder.sandbox.inside.import_guard import safe_names

REBUILDERS = {  # functions that libraries' pickles call; each was read: it allocates or copies, and does nothing else
    "_codecs:encode", "copy_reg:_reconstructor", "copyreg:_reconstructor", "numpy._core.multiarray:_reconstruct",
    "numpy._core.multiarray:scalar", "numpy.core.multiarray:_reconstruct", "numpy.core.multiarray:scalar",
    "numpy._core.numeric:_frombuffer", "numpy.core.numeric:_frombuffer", "numpy.ma.core:_mareconstruct",
    "numpy.random._pickle:__bit_generator_ctor", "numpy.random._pickle:__generator_ctor",
    "numpy.random._pickle:__randomstate_ctor", "numpy.random.bit_generator:__pyx_unpickle_SeedSequence",
    "pandas._libs.arrays:__pyx_unpickle_NDArrayBacked", "pandas._libs.internals:_unpickle_block",
    "pandas._libs.tslibs.nattype:_nat_unpickle", "pandas._libs.tslibs.timedeltas:_timedelta_unpickle",
    "pandas._libs.tslibs.timestamps:_unpickle_timestamp", "pandas.core.indexes.base:_new_Index",
    "pandas.core.indexes.datetimes:_new_DatetimeIndex", "pandas.core.indexes.interval:_new_IntervalIndex",
    "pyarrow.lib:_restore_array", "pyarrow.lib:py_buffer", "pyarrow.lib:type_for_alias",
    "sklearn.feature_selection._univariate_selection:f_classif", "sklearn.metrics._dist_metrics:newObj",
    "sklearn.neighbors._ball_tree:newObj", "sklearn.neighbors._kd_tree:newObj",
}  # fmt: skip


class Recorder(pickle.Unpickler):
    """Load a pickle and keep what it refers to."""

    def __init__(self, data: bytes) -> None:
        super().__init__(io.BytesIO(data))
        self.names: set[str] = set()

    def find_class(self, module: str, name: str) -> Any:
        self.names.add(f"{module}:{name}")
        return super().find_class(module, name)


def referred(thing: object) -> set[str]:
    found: set[str] = set()
    for protocol in (2, 4, 5):
        recorder = Recorder(pickle.dumps(thing, protocol))
        recorder.load()
        found |= recorder.names
    return found


def test_every_name_is_a_class_or_a_rebuilder_that_was_read() -> None:
    others = set()
    for full in safe_names() - REBUILDERS:
        module, _, name = full.partition(":")
        if module == "__builtin__":  # Python 2's name for builtins
            module, name = "builtins", name.replace("xrange", "range")
        found = getattr(importlib.import_module(module), name)
        others |= set() if isinstance(found, type) else {full}
    assert not others - {"pandas:NA"}


@pytest.mark.parametrize(
    "name",
    [
        "builtins:eval", "builtins:exec", "builtins:getattr", "builtins:open", "builtins:__import__", "builtins:type",
        "builtins:map", "builtins:print", "__builtin__:eval", "__builtin__:getattr", "functools:partial", "functools:reduce",
        "os:system", "posix:system", "nt:system", "subprocess:Popen", "operator:attrgetter", "operator:methodcaller",
        "pandas.core.computation.expr:Expr", "pandas.core.computation.eval:eval", "pandas:eval", "pandas:read_pickle",
        "pandas.io.pickle:read_pickle", "pandas.core.common:pipe", "pandas.core.frame:DataFrame.eval", "pandas:DataFrame.eval",
        "sklearn.utils._testing:assert_run_python_script_without_output", "sklearn.utils.fixes:parse_version",
        "sklearn.datasets._base:load_files", "sklearn.externals.array_api_compat.numpy:asarray", "sklearn:show_versions",
        "joblib.memory:Memory", "joblib._memmapping_reducer:reduce_array_memmap_backward", "numpy:load", "numpy:fromfile",
        "numpy.lib._npyio_impl:load", "numpy.f2py:compile", "scipy.io._mio:loadmat", "scipy._lib._ccallback:LowLevelCallable",
        "course_lib.processes:Server", "course_lib.training:train", "course_lib.features:build_transformer",
        "autograder.sandbox.rpc.peer:Peer", "pathlib:Path", "types:FunctionType", "types:CodeType", "types:MethodType",
        "ctypes:CDLL", "importlib:import_module", "runpy:run_path", "code:InteractiveConsole", "pickle:loads", "marshal:loads",
        "cloudpickle.cloudpickle:_make_function", "torch:load", "shutil:rmtree", "pty:spawn", "webbrowser:open", "timeit:timeit",
    ],
)  # fmt: skip
def test_what_runs_or_reaches_elsewhere_is_no_safe_name(name: str) -> None:
    assert name not in safe_names()


def test_frames_and_arrays_of_every_kind_are_safe() -> None:
    days = pd.date_range("2024", periods=3)
    frame = pd.DataFrame({"a": [1, 2, 3], "b": ["x", "y", None], "c": pd.Categorical(["u", "v", "u"]), "d": days})
    things: list[object] = [
        frame, frame["a"], frame["b"], frame["c"], frame["d"].dt.tz_localize("UTC"), frame.set_index(["a", "b"]),
        frame.iloc[:0], pd.DataFrame(), days, days - days[0], pd.period_range("2024", periods=2, freq="M"), pd.NaT, pd.NA,
        pd.Series([1, None], dtype="Int64"), pd.Series([True, None], dtype="boolean"), pd.Series(["a"], dtype="string"),
        pd.Timestamp("2024", tz="UTC"), pd.Timedelta("1h"), pd.Interval(0, 1), np.arange(3.0), np.float32(1), np.array(["a"]),
        np.array([("a", 1)], dtype=[("x", "U1"), ("y", "i4")]), np.ma.masked_array([1, 2], [0, 1]), np.random.default_rng(1),
        np.random.RandomState(1), {"a": {1, 2}, "b": frozenset("x"), "c": slice(1), "d": range(3), "e": complex(1)},
    ]  # fmt: skip
    for thing in things:
        assert referred(thing) <= safe_names(), (thing, referred(thing) - safe_names())


def test_a_time_zone_by_name_is_refused_for_its_pickle_asks_for_getattr() -> None:
    zoned = pd.Series(pd.date_range("2024", periods=2, tz="Europe/Berlin"))
    assert referred(zoned) - safe_names() == {"builtins:getattr", "__builtin__:getattr"}


def test_every_estimator_of_scikit_learn_is_safe_fitted_or_not() -> None:
    from sklearn.utils import all_estimators
    from sklearn.utils._test_common.instance_generator import _construct_instances

    random = np.random.default_rng(0)
    x = random.random((40, 4))
    y = (x[:, 0] > 0.5).astype(int)
    shapes: list[tuple[Any, ...]] = [(x, y), (x, x[:, 0] * 3), (x, np.c_[y, 1 - y]), (x,), (y,), (["a b"] * 9,)]
    missing: dict[str, set[str]] = {}
    # arguments that are functions are the caller's own choice, and refused
    functions = {
        "builtins:getattr", "__builtin__:getattr", "functools:partial", "numpy:mean", "sklearn.utils.validation:check_array",
        "sklearn.cluster._kmeans:_kmeans_single_lloyd", "sklearn.metrics._classification:balanced_accuracy_score",
        "scipy._lib.array_api_compat.numpy._aliases:asarray",
    }  # fmt: skip
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, kind in all_estimators():
            try:
                estimator = next(iter(_construct_instances(kind)))
            except Exception:  # it needs another estimator that is fitted
                continue
            for shape in shapes:
                try:
                    estimator.fit(*shape)
                    break
                except Exception:
                    continue
            if lacking := referred(estimator) - safe_names() - functions:
                missing[name] = lacking
    assert not missing


def test_the_desks_own_transformer_is_safe() -> None:
    from course_lib.features import build_transformer

    assert referred(build_transformer()) <= safe_names()

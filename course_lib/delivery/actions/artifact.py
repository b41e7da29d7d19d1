"""Stand-in for upload-artifact and download-artifact: copies files to or from $COURSE_ARTIFACTS."""

import glob
import os
import shutil
import sys
from pathlib import Path

store = Path(os.environ["COURSE_ARTIFACTS"])
name, paths, missing = (os.environ.get(key, "") for key in ("NAME", "PATHS", "MISSING"))
print(f"stand-in for actions/{sys.argv[1]}-artifact, offline")
if sys.argv[1] == "download":
    for folder in [store / name] if name else sorted(store.iterdir()):
        if not folder.is_dir():
            sys.exit(f"::error::there is no artifact called {name!r}")
        target = Path(paths or ".") / ("" if name else folder.name)
        shutil.copytree(folder, target, dirs_exist_ok=True)
    sys.exit()
wanted = [line.strip() for line in paths.splitlines() if line.strip()]
found = [Path(hit) for pattern in wanted for hit in sorted(glob.glob(pattern, recursive=True))]  # noqa: PTH207 - absolute ones too
if not found:
    print(f"::warning::no file matches {wanted}")
    sys.exit(1 if missing == "error" else 0)
if (store / name).exists():
    sys.exit(f"::error::an artifact called {name!r} exists already: give each job of a matrix a name of its own")
for path in found:
    target = store / name / path.name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copytree(path, target) if path.is_dir() else shutil.copy2(path, target)

"""Fail unless the wheel holds `physics` and `neuro` with their type markers, and nothing else."""

import sys
import zipfile
from pathlib import Path

(wheel,) = Path(sys.argv[1]).glob("*.whl")
names = zipfile.ZipFile(wheel).namelist()
tops = {name.split("/")[0] for name in names}
unexpected = {top for top in tops - {"physics", "neuro"} if not top.endswith(".dist-info")}
missing = {"physics/py.typed", "neuro/py.typed"} - set(names)
if unexpected or missing:
    sys.exit(f"{wheel.name}: unexpected {sorted(unexpected)}, missing {sorted(missing)}")
print(f"{wheel.name}: {len(names)} files in {sorted(tops)}")

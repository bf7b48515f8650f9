"""Prints what `pyproject.toml` asks for, for uv to install against the lock.

    python deploy/requirements.py EXTRA[,EXTRA…] [test]

The project itself is not installed: it runs from its folder, here and in an image.
"""

import sys
import tomllib
from pathlib import Path

project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text())
wanted = list(project["project"]["dependencies"])
for extra in sys.argv[1].split(","):
    wanted += project["project"]["optional-dependencies"].get(extra, [])
if sys.argv[2:] == ["test"]:
    wanted += project["dependency-groups"]["dev"]
print("\n".join(sorted(set(wanted))))

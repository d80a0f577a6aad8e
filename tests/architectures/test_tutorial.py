"""Who follows the tutorial has a new architecture, with one file and one line."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent


def test_the_tutorial_adds_an_architecture_that_passes_its_own_test(tmp_path):
    text = (ROOT / "docs" / "new_architecture.md").read_text(encoding="utf-8")
    file, entry, line, test = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    shutil.copytree(ROOT / "dlkeras", tmp_path / "dlkeras")
    package = tmp_path / "dlkeras" / "architectures"
    (package / "all_cnn.py").write_text(file, encoding="utf-8")
    registry = (package / "registry.py").read_text(encoding="utf-8")
    place = '    "alexnet": alexnet,\n'
    assert place in registry
    registry = registry.replace(place, place + entry)
    registry = registry.replace("\nfrom dlkeras", "\n" + line + "from dlkeras", 1)
    (package / "registry.py").write_text(registry, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", test],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-2000:]

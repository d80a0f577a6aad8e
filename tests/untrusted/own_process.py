"""Tries files in a process of its own, and measures what it takes there."""

import json
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT

# A child has its parent's memory until it starts a program of its own, and `ru_maxrss`
# would count it: the kernel's other count starts with the program.
PROGRAM = """
import json, sys, time
from pathlib import Path
{imports}
for path in sys.argv[1:]:
    started = time.process_time()  # others may keep the machine busy
    try:
        {call}
        said = "read"
    except Exception as error:
        said = f"{{type(error).__name__}}: {{error}}"
    status = Path("/proc/self/status").read_text()
    peak = int(status.split("VmHWM:")[1].split()[0]) // 1024
    print(json.dumps([path, said, peak, time.process_time() - started]), flush=True)
"""


def tried(
    imports: str, call: str, files: list[Path], seconds: float = 100
) -> dict[str, tuple[str, int, float]]:
    """Call a function with each file, one after the other, in one fresh process.

    Args:
        imports: lines of Python that come first.
        call: an expression; `path` is the file's path.
        files: the files.
        seconds: when the process is killed.

    Returns:
        By the name of each file: what came out ("read", or the error's class and text),
        the largest memory of the process until then in MiB, and the seconds of a
        processor that it took.
    """
    program = PROGRAM.format(imports=imports, call=call)
    done = subprocess.run(
        [sys.executable, "-c", program, *map(str, files)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=seconds,
    )
    rows = [json.loads(line) for line in done.stdout.splitlines() if line[:1] == "["]
    assert len(rows) == len(files), done.stderr
    return {Path(path).name: (said, mib, took) for path, said, mib, took in rows}

"""`python -m dlkeras` is the command `dlkeras`."""

from dlkeras.cli import main

raise SystemExit(main())

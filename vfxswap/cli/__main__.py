"""`python -m vfxswap.cli`, where the program itself is not on the path."""

from __future__ import annotations

import sys

from vfxswap.cli import main

sys.exit(main())

"""``python -m tools.hunt``."""

import sys

from .running import main

sys.exit(main())

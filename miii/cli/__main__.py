"""``python -m miii.cli`` is the command ``miii``."""

import sys

from miii.cli import main

if __name__ == "__main__":
    sys.exit(main())

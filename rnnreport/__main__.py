"""``python -m rnnreport``."""

import sys

from rnnreport.cli import main

if __name__ == "__main__":
    sys.exit(main())

"""`python -m neptune_exporter`."""

import sys

from neptune_exporter.cli import main

sys.exit(main())

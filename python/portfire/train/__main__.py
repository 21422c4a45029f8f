import sys

from portfire.train.cli import main

sys.exit(main())

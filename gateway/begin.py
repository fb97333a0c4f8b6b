"""`python -m gateway.begin gateway.processes.worker …`: begin a part's process without looking for garbage meanwhile.

What is imported stays, so that Python's collector finds nothing in it and yet goes through all of it again and again: a tenth of
the time until a process is ready. Afterwards it leaves alone for ever what was imported.
"""

import gc
import importlib
import sys

if __name__ == "__main__":
    gc.disable()
    part = importlib.import_module(sys.argv.pop(1))
    gc.freeze()
    gc.enable()
    sys.exit(part.main())

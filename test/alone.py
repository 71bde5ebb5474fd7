"""A lit test runs in one folder of the build, whatever runs it: two runs of lit at once take turns at it."""
import fcntl
import os

import lit.formats


class Alone(lit.formats.ShTest):
    def execute(self, test, lit_config):
        path = test.getExecPath() + ".lock"
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            return super().execute(test, lit_config)

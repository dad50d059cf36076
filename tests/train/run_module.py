"""Runs the tests of one file for ctest: run_module.py test_NAME.py, in their folder.

Exit status: 0 passed; 1 something failed, or there was no test; 77 every test was skipped, each
with its reason on stderr.
"""

import sys
import unittest

SKIPPED = 77


class Result(unittest.TextTestResult):
    """Also counts what ran to its end: a skipped module or class is no test that unittest counts."""

    passed = 0

    def addSuccess(self, test):
        super().addSuccess(test)
        self.passed += 1


def main():
    tests = unittest.defaultTestLoader.discover(".", pattern=sys.argv[1])
    result = unittest.TextTestRunner(verbosity=2, resultclass=Result).run(tests)
    if not result.wasSuccessful():
        return 1
    if result.passed:
        return 0
    return SKIPPED if result.skipped else 1


if __name__ == "__main__":
    sys.exit(main())

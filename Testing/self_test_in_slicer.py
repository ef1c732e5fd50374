"""All tests of the module's self-test, run by Slicer (see run_in_slicer.sh); pytest must not collect this file."""

from __future__ import annotations

import unittest

import SRDynamicMRI

FEWEST = 5


class ToldAtOnce(unittest.TextTestResult):
    """Says why a test failed when it fails: a run that is cut short has no end at which to say it."""

    def addFailure(self, test, error):
        super().addFailure(test, error)
        self.stream.writeln(self.failures[-1][1])

    def addError(self, test, error):
        super().addError(test, error)
        self.stream.writeln(self.errors[-1][1])


suite = unittest.TestLoader().loadTestsFromTestCase(SRDynamicMRI.SRDynamicMRITest)
result = unittest.TextTestRunner(verbosity=2, resultclass=ToldAtOnce).run(suite)
if not result.wasSuccessful() or result.skipped or result.testsRun < FEWEST:
    message = f"{result.testsRun} tests ran, {len(result.skipped)} of them skipped, not all passed"
    raise RuntimeError(message)

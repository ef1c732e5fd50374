"""All tests of the module's self-test, run by Slicer (see run_in_slicer.sh); pytest must not collect this file."""

from __future__ import annotations

import unittest

import SRDynamicMRI

FEWEST = 5

suite = unittest.TestLoader().loadTestsFromTestCase(SRDynamicMRI.SRDynamicMRITest)
result = unittest.TextTestRunner(verbosity=2).run(suite)
if not result.wasSuccessful() or result.skipped or result.testsRun < FEWEST:
    message = f"{result.testsRun} tests ran, {len(result.skipped)} of them skipped, not all passed"
    raise RuntimeError(message)

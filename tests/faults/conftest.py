"""Assertions of the helpers show their values, too."""

import pytest

pytest.register_assert_rewrite("tests.faults.traffic", "tests.faults.stack", "tests.faults.servers")

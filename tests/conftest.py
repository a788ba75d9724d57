"""What every test shares: a real part that is missing is said aloud, and in CI it is a failure."""

import gc
import os
import shutil

import pytest
from hypothesis import HealthCheck, settings

# A machine may be busy: how long an example takes says nothing of what is tested.
settings.register_profile("skerry", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("skerry")


def broker_path() -> str | None:
    """Return where mosquitto is; Debian puts it where ordinary users do not look."""
    return shutil.which("mosquitto", path=os.environ.get("PATH", "") + ":/usr/sbin:/usr/local/sbin")


def pytest_collection_finish() -> None:
    """Let the collector of garbage look at what tests make, and not each time at all that was loaded for them."""
    gc.collect()
    gc.freeze()


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose real part is missing here, or fail it in CI."""
    if item.get_closest_marker("mosquitto") is None or broker_path() is not None:
        return
    reason = "mosquitto is not installed here (sudo apt install mosquitto mosquitto-clients)"
    if os.environ.get("CI"):
        pytest.fail(reason)
    pytest.skip(reason)

"""Hydra's own tests of a launcher, as they come with Hydra, on `hydra/launcher=slots`."""

import pytest
from hydra.core.plugins import Plugins
from hydra.test_utils.launcher_common_tests import BatchedSweeperTestSuite, IntegrationTestSuite, LauncherTestSuite

pytestmark = pytest.mark.usefixtures("can_be_forked")


@pytest.fixture(autouse=True)
def plugins():
    # The suite puts Hydra's singletons back as they were before a test, and with them the options that plugins store.
    Plugins.instance()


@pytest.mark.parametrize(("launcher_name", "overrides"), [("slots", [])])
class TestSlots(LauncherTestSuite):
    pass


@pytest.mark.parametrize(("launcher_name", "overrides"), [("slots", ["hydra.sweeper.max_batch_size=2"])])
class TestSlotsInBatches(BatchedSweeperTestSuite):
    pass


@pytest.mark.parametrize(("task_launcher_cfg", "extra_flags"), [({}, ["-m", "hydra/launcher=slots"])])
class TestSlotsWithWholeApps(IntegrationTestSuite):
    pass

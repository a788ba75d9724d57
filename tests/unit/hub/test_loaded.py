"""What spares tests the second load of a store spares none that is another's, and forgives nothing."""

from __future__ import annotations

import msgspec
import pytest

from tests.support import loaded
from tests.unit.hub.world import World, durable


def test_a_hub_that_shows_more_than_its_store_is_found_each_time() -> None:
    for _ in range(3):
        world = World()
        world.enroll("oslo-1")
        loaded.compare(world.core, world.store.snapshot(), world.config, durable)
        world.core.registry.get("oslo-1").labels["site"] = "oslo"
        with pytest.raises(AssertionError):
            loaded.compare(world.core, world.store.snapshot(), world.config, durable)


def test_a_store_that_cannot_be_loaded_is_found_each_time() -> None:
    world = World()
    for _ in range(3):
        spaces = {space: dict.fromkeys(values, b"[") for space, values in world.store.spaces.items()}
        with pytest.raises(msgspec.DecodeError):
            loaded.check(msgspec.structs.replace(world.store.snapshot(), spaces=spaces), world.config)

"""The simulated world: a seeded city, what happens in it, and what is publicly known of it."""

from simulators.world.city import EPOCH_UTC_S, LaunchSite, World
from simulators.world.scene import CLASSES

__all__ = ["CLASSES", "EPOCH_UTC_S", "LaunchSite", "World"]

"""Vehicles: links, MAVLink framing and identity, telemetry, mission transfer, commands and flight records."""

"""The service: people, missions, flights, perception, incidents, hand-off, API, UI and CLI."""

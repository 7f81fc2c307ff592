"""A simulated city, its vehicles, their cameras, and the systems that receive incidents."""

"""A made-up marketplace, the same for the same seed: to try the portal on, and to show it."""

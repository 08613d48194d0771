"""Runs in a terminal while they happen: what is read, and the screen that shows it."""

"""Scenarios, scripted model server and scores."""

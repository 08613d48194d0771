"""Observe LangGraph."""

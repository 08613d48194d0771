"""Logs, traces, tokens, cost and budgets for AI agents."""

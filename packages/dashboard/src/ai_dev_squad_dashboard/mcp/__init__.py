"""Machines that ask: the pages' answers as tools of the Model Context Protocol, over stdio and HTTP.

Nothing here imports the SDK but ``server`` and ``http``: the extra ``mcp`` brings it.
"""

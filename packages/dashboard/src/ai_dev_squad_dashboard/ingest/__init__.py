"""How rows come in: from journals, from OTLP, and the one way into the store."""

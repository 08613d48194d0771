"""What other products have exported, read, told in OTLP's terms, and stored as if it had been sent here: counted and compared."""

"""What people and programs think of runs: scores, labels and notes, kept as the events that OpenTelemetry has for them."""

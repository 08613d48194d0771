"""The parity lab: the same scenario as a program in each framework, run for real, scored against what the model server knows."""

"""The parity matrix: the lab's results, one scenario of it, and how real runs of the frameworks compare."""

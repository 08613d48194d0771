"""Real client libraries of model providers in each framework: what the lab's table of providers runs."""

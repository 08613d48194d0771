"""What the sessions of the noxfile are made of."""

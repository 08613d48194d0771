"""The flagship: a small dev squad that plans, codes in parallel with tools, reviews until approved, and asks a human.

``spec`` says what the model says and what must come out; ``on_<framework>`` is the same squad in each framework.
"""

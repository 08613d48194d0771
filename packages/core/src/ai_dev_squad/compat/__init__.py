"""The developer guide's names beside the product: each a thin addition to what the product has under a name of its own.

Nothing below knows of this package; ``assembly`` builds with it, so that whoever follows the guide finds its methods.
"""

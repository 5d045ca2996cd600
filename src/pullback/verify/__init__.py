"""Checks: of gradients, of backward passes that a person wrote, of every step of a derivation.

Nothing is imported here: each kind of check is a module of its own.
"""

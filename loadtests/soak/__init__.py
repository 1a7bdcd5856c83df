"""Soak: many requests over many connections while backends die and return, and clients that vanish.

Nothing may be wrong afterwards: no byte of any reply, no descriptor left open, no memory that grows.
"""

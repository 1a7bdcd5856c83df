"""Bytes on the wire as values and back: no sockets, no clock, no decisions."""

"""Tests of discovery, and the fake world that they share."""

"""Fairlead: a user-space L4/L7 load-balancing proxy for Kubernetes."""

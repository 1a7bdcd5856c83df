"""Load on a real Fairlead: the comparison with its peers, and soaks that break what can break."""

"""One bad endpoint among three: what users feel of it behind Fairlead, HAProxy and Envoy, each tuned to do its best.

`python -m loadtests.resilience`, or `make resilience`, runs it and writes its part of results.md.
"""

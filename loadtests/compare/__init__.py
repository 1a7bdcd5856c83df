"""Fairlead beside nginx, HAProxy and Envoy: `python -m loadtests.compare`, or `make compare`.

Owns the measurement of what is written under "must be": each workload is a class in workloads/, each proxy a class in
peers/, and figures.py says what is compared with what. Never a figure without a check that the replies were right, and
never a process, port or file that outlives the run. In this folder a peer is a whole proxy that is compared.
"""

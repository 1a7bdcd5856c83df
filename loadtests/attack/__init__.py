"""Under attack: thousands of clients that hold a connection and give nothing, while a well-behaved one measures.

Its latency must hardly change, memory must stay under a bound that is derived and not observed, and every attacker
must be ended at its deadline with all that it held.
"""

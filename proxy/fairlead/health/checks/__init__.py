"""Active checks: Fairlead asks the endpoints of a service itself, and what they answer decides whether they are used.

settings   what can be configured             reading   the same, from a configuration document
standing   what a row of results means        wording   the verdict that follows from it
schedule   whose turn it is                   results   what is counted and shown
probe      one check on one connection: tcp.py, http1.py, and grpc.py, whose messages are in grpc_health.py
run        the owner of all of these
"""

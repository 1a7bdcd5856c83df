"""A Service of Kubernetes as a source of endpoints: followed through rollouts, scaling and outages of its API.

objects.py, quantity.py   the API's objects as values       access.py    where the API is, and who we are there
meaning.py, ports.py      what they mean: the rules         api.py       requests and watches over HTTP
weights.py                weights from Pods                 mirror.py    a list and then a watch: a local copy
kinds.py                  which kinds there are             cluster.py   the copies that sources share
answers.py, lines.py      refusals and lines in words       source.py    what a service follows

The left column is pure.
"""

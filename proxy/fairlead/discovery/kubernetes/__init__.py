"""A Service of Kubernetes as a source of endpoints: followed through rollouts, scaling and outages of its API.

objects.py   the API's objects as values          meaning.py, ports.py   what they mean: pure, the rules in one place
weights.py   weights from Pods, pure              api.py, access.py      requests, errors, credentials
mirror.py    list and watch: a local copy         cluster.py, source.py  copies shared by sources; a source
"""

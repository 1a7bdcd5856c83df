"""Load as people make it, by locust: scenarios that rise, fall, roll out and go wrong, with a report and plots.

`python -m loadtests.scenarios NAME`, or `make loadtest`, runs one against an app and a proxy that it starts;
`locust -f loadtests/scenarios/locustfile.py --scenario NAME --host URL` runs the same load against any other.

plans        what happens when, as values; pure
locustfile   what locust is given: the users and the shape
stage        three pods of the example app and the proxy before them
report       plots of what locust has counted
"""

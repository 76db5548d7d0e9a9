"""Push: messages that the broker sends to an HTTP endpoint.

pushing.py  which subscriptions are pushed, a pusher each
pusher.py   one subscription: leases, requests, acks
pacing.py   how many requests at a time, how long to wait after failures
lanes.py    which messages may go beside each other, and which must wait
body.py     what a request looks like
tokens.py   signed tokens, and the keys to check them by
"""

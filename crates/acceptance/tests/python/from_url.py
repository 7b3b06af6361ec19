"""Prints a line when it is subscribed. Fails if a client of Redis.from_url reconnects."""

import os

import redis

port = int(os.environ.get("REDIS_PORT", "6379"))
pubsub = redis.Redis.from_url(f"redis://localhost:{port}").pubsub()
assert pubsub.connection is None, "connects when it first subscribes"
pubsub.subscribe("a")
assert pubsub.get_message(timeout=10)["type"] == "subscribe"
print("subscribed")
try:
    pubsub.get_message(timeout=20)
except redis.exceptions.ConnectionError:
    pass
else:
    raise AssertionError("no error")

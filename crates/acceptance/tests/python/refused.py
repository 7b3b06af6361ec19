"""Asserts that redis-py raises a refused subscription when a message is read."""

import os

import redis

port = int(os.environ.get("REDIS_PORT", "6379"))
admin = redis.Redis(host="localhost", port=port, db=0)
admin.acl_setuser("reader", enabled=True, nopass=True, categories=["+@all"], reset_channels=True)
reader = redis.Redis(host="localhost", port=port, db=0, username="reader", password="any")
pubsub = reader.pubsub()
pubsub.subscribe("a")
try:
    pubsub.get_message(timeout=10)
except redis.exceptions.NoPermissionError:
    pass
else:
    raise AssertionError("not refused")

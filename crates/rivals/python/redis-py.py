"""redis-py as its documentation shows it: listen() in a loop."""

import json
import os

import redis

client = redis.Redis.from_url(os.environ["REDIS_URL"])
pubsub = client.pubsub()
pubsub.subscribe("notifications")
confirmed = False
for message in pubsub.listen():
    if message["type"] == "message":
        data = message["data"].decode()
        print(json.dumps({"type": "message", "data": data}), flush=True)
    elif message["type"] == "subscribe":
        # After a reconnect another confirmation comes: messages may be missing.
        if confirmed:
            print(json.dumps({"type": "lost", "by": "event"}), flush=True)
        confirmed = True

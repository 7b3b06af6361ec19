"""redis-py with health checks and retries without end."""

import json
import os

import redis
from redis.backoff import ExponentialBackoff
from redis.retry import Retry

client = redis.Redis.from_url(
    os.environ["REDIS_URL"],
    health_check_interval=3,
    retry=Retry(ExponentialBackoff(cap=2, base=0.05), retries=-1),
    socket_connect_timeout=2,
    socket_timeout=1,
)
pubsub = client.pubsub()
pubsub.subscribe("notifications")
confirmed = False
while True:
    # A health check is sent by a call: listen() may wait in one for ever.
    message = pubsub.get_message(timeout=1)
    if message is None:
        continue
    if message["type"] == "message":
        data = message["data"].decode()
        print(json.dumps({"type": "message", "data": data}), flush=True)
    elif message["type"] == "subscribe":
        # After a reconnect another confirmation comes: messages may be missing.
        if confirmed:
            print(json.dumps({"type": "lost", "by": "event"}), flush=True)
        confirmed = True

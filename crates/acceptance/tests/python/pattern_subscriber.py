"""Prints every message of all channels that match 'news:*', until Ctrl+C."""

import os

import redis

PATTERN = "news:*"

port = int(os.environ.get("REDIS_PORT", "6379"))
client = redis.Redis(host="localhost", port=port, db=0)
pubsub = client.pubsub()
pubsub.psubscribe(PATTERN)
print(f"Pattern Subscriber: Subscribed to all channels matching '{PATTERN}'")

try:
    for message in pubsub.listen():
        if message["type"] == "psubscribe":
            # As the usual tutorial has it. It prints None: redis-py keeps the pattern of this
            # one message under "channel".
            print(f"Subscribed to pattern {message['pattern']}")
        elif message["type"] == "pmessage":
            pattern = message["pattern"].decode("utf-8")
            channel = message["channel"].decode("utf-8")
            data = message["data"].decode("utf-8")
            print(f"Pattern '{pattern}' matched channel '{channel}': {data}")
except KeyboardInterrupt:
    print("Unsubscribing and shutting down.")
    pubsub.punsubscribe(PATTERN)
    pubsub.close()

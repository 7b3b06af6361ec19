"""Prints every message that is published on 'notifications', until Ctrl+C."""

import os

import redis

CHANNEL = "notifications"

port = int(os.environ.get("REDIS_PORT", "6379"))
client = redis.Redis(host="localhost", port=port, db=0)
pubsub = client.pubsub()
pubsub.subscribe(CHANNEL)
print(f"Subscriber: Subscribed to channel '{CHANNEL}'. Waiting for messages...")
print("Press Ctrl+C to exit.")

try:
    for message in pubsub.listen():
        if message["type"] == "subscribe":
            channel = message["channel"].decode("utf-8")
            print(f"Subscribed successfully to '{channel}'.")
        elif message["type"] == "message":
            channel = message["channel"].decode("utf-8")
            data = message["data"].decode("utf-8")
            print(f"Received on channel '{channel}': {data}")
except KeyboardInterrupt:
    print("Unsubscribing and shutting down.")
    pubsub.unsubscribe(CHANNEL)
    pubsub.close()

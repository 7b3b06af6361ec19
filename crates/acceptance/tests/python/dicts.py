"""Prints the dict of every message as a line of JSON, decoded, until Ctrl+C.

    dicts.py subscribe CHANNEL...
    dicts.py psubscribe PATTERN...
"""

import json
import os
import sys

import redis

command, *names = sys.argv[1:]
undo = {"subscribe": "unsubscribe", "psubscribe": "punsubscribe"}[command]

port = int(os.environ.get("REDIS_PORT", "6379"))
client = redis.Redis(host="localhost", port=port, db=0)
pubsub = client.pubsub()
getattr(pubsub, command)(*names)


def print_messages():
    for message in pubsub.listen():
        decoded = {
            key: value.decode("utf-8") if isinstance(value, bytes) else value
            for key, value in message.items()
        }
        print(json.dumps(decoded, ensure_ascii=False, separators=(",", ":")))


try:
    print_messages()
except KeyboardInterrupt:
    getattr(pubsub, undo)(*names)
    # listen() ends after the last subscription.
    print_messages()

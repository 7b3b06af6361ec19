"""Fails if listen() does not keep waiting for a Redis that hangs.

    hanging.py PROCESS_ID_OF_REDIS
"""

import os
import signal
import sys
import threading

import redis

pid = int(sys.argv[1])
port = int(os.environ.get("REDIS_PORT", "6379"))
client = redis.Redis(host="localhost", port=port, db=0)
pubsub = client.pubsub()
pubsub.subscribe("a")
messages = pubsub.listen()
assert next(messages)["type"] == "subscribe"


def wake_up():
    os.kill(pid, signal.SIGCONT)
    client.publish("a", "late")


# Longer than redis-py waits for the answer to a command (5 seconds).
os.kill(pid, signal.SIGSTOP)
threading.Timer(6, wake_up).start()

# No "subscribe" comes before it, so the connection is the same.
message = next(messages)
assert message["type"] == "message" and message["data"] == b"late", message

"""Asserts what the table in docs/reference.md says of redis-py's publish() when Redis hangs.

    no_answer.py PROCESS_ID_OF_REDIS
"""

import os
import signal
import sys
import threading

import redis

pid = int(sys.argv[1])
port = int(os.environ.get("REDIS_PORT", "6379"))
pubsub = redis.Redis(host="localhost", port=port, db=0).pubsub()
pubsub.subscribe("a")
assert pubsub.get_message(timeout=10)["type"] == "subscribe"

# Redis hangs for longer than this timeout (by default 5 seconds).
client = redis.Redis(host="localhost", port=port, db=0, socket_timeout=0.2)
client.ping()
os.kill(pid, signal.SIGSTOP)
threading.Timer(2, os.kill, (pid, signal.SIGCONT)).start()
client.publish("a", "published once")

# The reader did not reconnect, as no "subscribe" comes first. One call of publish() sent both.
for _ in range(2):
    message = pubsub.get_message(timeout=10)
    assert message["type"] == "message" and message["data"] == b"published once", message

"""Publishes as fast as redis-py can: publish.py PORT COUNT DEPTH TEXT.

A depth of 1 means `publish`, one message at a time, as in the tutorial. Any other depth is the
number of messages in a pipeline.
"""

import sys

import redis

port, count, depth = map(int, sys.argv[1:4])
text = sys.argv[4]
client = redis.Redis(host="localhost", port=port, db=0)

published = 0
while published < count:
    if depth == 1:
        client.publish("notifications", text)
        published += 1
    else:
        pipeline = client.pipeline(transaction=False)
        for _ in range(min(depth, count - published)):
            pipeline.publish("notifications", text)
        published += len(pipeline.execute())
print(f"Published {published} messages.")

"""Publishes as fast as it goes: publish.py PORT COUNT DEPTH TEXT.

With a depth of 1 by `publish`, as the tutorial does, else by a pipeline of so many.
"""

import sys

import redis

port, count, depth = map(int, sys.argv[1:4])
text = sys.argv[4]
client = redis.Redis(host="localhost", port=port, db=0)

left = count
while left > 0:
    if depth == 1:
        answers = [client.publish("notifications", text)]
    else:
        pipeline = client.pipeline(transaction=False)
        for _ in range(min(depth, left)):
            pipeline.publish("notifications", text)
        answers = pipeline.execute()
    for receivers in answers:
        print(f"Published: {text} ({receivers} receivers)")
    left -= len(answers)

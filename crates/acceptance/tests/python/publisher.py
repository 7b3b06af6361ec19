"""Publishes a random notification on 'notifications', every two seconds, five times.

    publisher.py [CHANNEL]
"""

import os
import random
import sys
import time

import redis

CHANNEL = sys.argv[1] if len(sys.argv) > 1 else "notifications"
NOTIFICATIONS = [
    "New user registered!",
    "Server backup completed.",
    "Payment received for order #12345.",
    "System maintenance scheduled for tonight.",
]

port = int(os.environ.get("REDIS_PORT", "6379"))
client = redis.Redis(host="localhost", port=port, db=0)
interval = float(os.environ.get("INTERVAL", "2"))

print(f"Publisher: Sending messages to channel '{CHANNEL}'...")
for _ in range(5):
    message = random.choice(NOTIFICATIONS)
    client.publish(CHANNEL, message)
    print(f"Published: {message}")
    time.sleep(interval)

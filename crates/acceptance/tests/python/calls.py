"""Asserts what the table in docs/reference.md says of redis-py's calls."""

import os
import time

import redis


def raises_unicode_error(call):
    try:
        call()
    except UnicodeDecodeError:
        return True
    return False


port = int(os.environ.get("REDIS_PORT", "6379"))
client = redis.Redis(host="localhost", port=port, db=0)
pubsub = client.pubsub()
assert pubsub.connection is None, "connects when it first subscribes"
assert client.get_retry().get_retries() == 10
assert redis.Redis.from_url(f"redis://localhost:{port}").get_retry() is None

pubsub.subscribe("a", "b")
pubsub.psubscribe("news:*")
confirmed = [pubsub.get_message(timeout=10) for _ in range(3)]
assert [message["type"] for message in confirmed] == ["subscribe", "subscribe", "psubscribe"]
assert confirmed[2]["channel"] == b"news:*" and confirmed[2]["pattern"] is None
assert pubsub.get_message(timeout=0.01) is None
assert client.publish("a", b"\xff") == 1
data = pubsub.get_message(timeout=10)["data"]
assert data == b"\xff" and raises_unicode_error(data.decode)

pubsub.unsubscribe()
pubsub.punsubscribe()
ended = [message["type"] for message in pubsub.listen()]
assert ended == ["unsubscribe", "unsubscribe", "punsubscribe"], "listen() ends with the last one"
pubsub.close()

decoding = redis.Redis(host="localhost", port=port, db=0, decode_responses=True).pubsub()
decoding.subscribe("a")
assert decoding.get_message(timeout=10)["channel"] == "a"
client.publish("a", b"\xff")
client.publish("a", b"good")
for _ in range(3):
    assert raises_unicode_error(lambda: decoding.get_message(timeout=10)), "again and again"
decoding.close()
assert decoding.connection is None
deadline = time.monotonic() + 10
while client.publish("a", "gone") > 0:
    assert time.monotonic() < deadline, "close() closes the connection"

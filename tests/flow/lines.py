# SPDX-License-Identifier: MIT
"""The lines in which jobs wait: for pace, and at limits of machines."""

from __future__ import annotations

from cloud.cloud import Cloud

ROOM = 180  # registrations in the time of a boot


def fill_register(cloud: Cloud, count: int) -> None:
    """Let so many messages lie in register.fifo."""
    fill(cloud, "RegisterQueue", count)


def fill(cloud: Cloud, queue: str, count: int) -> None:
    """Let so many messages of others lie in a queue with order."""
    sqs = cloud.client("sqs")
    url = cloud.queue(queue).url
    for number in range(0, count, 10):
        entries = [
            {
                "Id": str(one),
                "MessageBody": "{}",
                "MessageGroupId": "others",
                "MessageDeduplicationId": f"other-{number + one}",
            }
            for one in range(min(10, count - number))
        ]
        sqs.send_message_batch(QueueUrl=url, Entries=entries)

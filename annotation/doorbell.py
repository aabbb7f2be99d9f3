"""Ringing a task: best effort and never slow. The database is the truth, and beat rings every bell each minute."""

import logging
from functools import lru_cache

from celery import Task, current_app
from kombu import Connection, Producer
from kombu.exceptions import ChannelError, LimitExceeded, OperationalError
from kombu.pools import producers

logger = logging.getLogger(__name__)

WAIT_SECONDS = 1.0
# bells that wait in a queue: each finds all the work there is, so that a busy worker leaves no heap of them behind
ENOUGH = 100


def ring(task: Task, *, countdown: float = 0) -> bool:
    """Wake a worker to look for work. Call it after commit. False: the broker did not answer, and beat will ring
    instead.
    """
    try:
        with producers[_connection()].acquire(block=True, timeout=WAIT_SECONDS) as producer:
            if _waiting(producer, task) < ENOUGH:
                task.apply_async(producer=producer, retry=False, countdown=countdown)
    except (
        OperationalError,
        LimitExceeded,
        *_connection().connection_errors,
    ) as error:  # it is away, or every connection waits for it
        logger.warning("The broker did not take the bell %s (%s): the next beat rings it.", task.name, error)
        return False
    return True


def broker_answers() -> bool:
    """Whether a bell could be rung now."""
    try:
        with _connection().clone() as connection:
            connection.ensure_connection(max_retries=0, timeout=WAIT_SECONDS)
    except (OperationalError, OSError):
        return False
    return True


def _waiting(producer: Producer, task: Task) -> int:
    """Bells in the task's queue."""
    queue = current_app.amqp.router.route({}, task.name)["queue"].name
    try:
        return int(producer.channel.queue_declare(queue, passive=True).message_count)
    except ChannelError:  # Redis keeps no empty queue
        return 0


@lru_cache(maxsize=1)
def _connection() -> Connection:
    """A connection that gives up at once: without max_retries a publish to a dead broker retries for ever."""
    options = {
        **(current_app.conf.broker_transport_options or {}),
        "max_retries": 0,
        "socket_connect_timeout": WAIT_SECONDS,
        "socket_timeout": WAIT_SECONDS,
    }
    return current_app.connection_for_write(connect_timeout=WAIT_SECONDS, transport_options=options)

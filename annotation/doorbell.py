"""Ring tasks, quickly and best effort: the database is authoritative, and beat rings every bell each minute."""

import logging
from functools import lru_cache

from celery import Task, current_app
from kombu import Connection, Producer
from kombu.exceptions import ChannelError, LimitExceeded, OperationalError
from kombu.pools import producers

logger = logging.getLogger(__name__)

WAIT_SECONDS = 1.0
# limit on the bells waiting in a queue: one bell finds all the work, so a busy worker needs no backlog of them
ENOUGH = 100


def ring(task: Task, *, countdown: float = 0) -> bool:
    """Wake a worker to check for work. Call it after commit.

    Returns False if the broker did not answer; beat will ring instead.
    """
    try:
        with producers[_connection()].acquire(block=True, timeout=WAIT_SECONDS) as producer:
            if _waiting(producer, task) < ENOUGH:
                task.apply_async(producer=producer, retry=False, countdown=countdown)
    except (
        OperationalError,
        LimitExceeded,
        *_connection().connection_errors,
    ) as error:
        # the broker is down, or every connection is waiting for it
        logger.warning("The broker did not take the bell %s (%s): the next beat rings it.", task.name, error)
        return False
    return True


def broker_answers() -> bool:
    """Whether the broker can be reached."""
    try:
        with _connection().clone() as connection:
            connection.ensure_connection(max_retries=0, timeout=WAIT_SECONDS)
    except (OperationalError, OSError):
        return False
    return True


def _waiting(producer: Producer, task: Task) -> int:
    """The number of bells waiting in the task's queue."""
    queue = current_app.amqp.router.route({}, task.name)["queue"].name
    try:
        return int(producer.channel.queue_declare(queue, passive=True).message_count)
    except ChannelError:  # Redis deletes empty queues
        return 0


@lru_cache(maxsize=1)
def _connection() -> Connection:
    """A connection that fails fast: without max_retries, publishing to a dead broker retries forever."""
    options = {
        **(current_app.conf.broker_transport_options or {}),
        "max_retries": 0,
        "socket_connect_timeout": WAIT_SECONDS,
        "socket_timeout": WAIT_SECONDS,
    }
    return current_app.connection_for_write(connect_timeout=WAIT_SECONDS, transport_options=options)

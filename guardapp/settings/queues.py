"""Celery: broker, queues, and the periodic tasks of beat."""

from datetime import timedelta

from guardapp.settings.places import BROKER_SOCKET, REDIS_TLS, REDIS_URL

CELERY_BROKER_URL = REDIS_URL or f"redis+socket://{BROKER_SOCKET}"
CELERY_BROKER_USE_SSL = REDIS_TLS
CELERY_TASK_IGNORE_RESULT = True
CELERY_TASK_ROUTES = {
    "annotation.tasks.predict": {"queue": "inference"},
    "annotation.tasks.complete_targets": {"queue": "inference"},
    "annotation.tasks.shadow": {"queue": "inference"},
    "annotation.tasks.regenerate": {"queue": "inference"},
    "training.tasks.execute": {"queue": "training"},
    "*": {"queue": "default"},
}
CELERY_TASK_DEFAULT_QUEUE = "default"
CELERY_TASK_ALWAYS_EAGER = False
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
# a worker waits for its broker without limit
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
# a silent broker counts as down
CELERY_BROKER_TRANSPORT_OPTIONS = {"socket_connect_timeout": 5, "socket_timeout": 30, "socket_keepalive": True}
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
# results are not stored, so beat has nothing to clean up
CELERY_RESULT_EXPIRES = None
# retraining schedules are rows in the database; the entries below become rows too
CELERY_BEAT_SCHEDULER = "django_celery_beat.schedulers:DatabaseScheduler"
# doorbells: each task finds its work in the database
CELERY_BEAT_SCHEDULE = {
    "predict": {"task": "annotation.tasks.predict", "schedule": timedelta(seconds=60)},
    "complete-targets": {"task": "annotation.tasks.complete_targets", "schedule": timedelta(seconds=60)},
    "regenerate": {"task": "annotation.tasks.regenerate", "schedule": timedelta(seconds=60)},
    "reroute": {"task": "annotation.tasks.reroute", "schedule": timedelta(seconds=60)},
    "count-queues": {"task": "annotation.tasks.count_queues", "schedule": timedelta(seconds=15)},
    "deliver": {"task": "annotation.tasks.deliver", "schedule": timedelta(seconds=5)},
    "prune": {"task": "annotation.tasks.prune", "schedule": timedelta(hours=1)},
    "fill-search": {"task": "annotation.tasks.fill_search", "schedule": timedelta(seconds=60)},
    "write-exports": {"task": "annotation.tasks.write_exports", "schedule": timedelta(seconds=60)},
    "release-stale": {"task": "annotation.tasks.release_stale", "schedule": timedelta(seconds=20)},
    "execute": {"task": "training.tasks.execute", "schedule": timedelta(seconds=60)},
    "look-at-schedules": {"task": "training.tasks.look_at_schedules", "schedule": timedelta(seconds=300)},
}

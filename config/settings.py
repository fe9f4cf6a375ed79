"""Settings of the site, from environment variables; docs/settings.md lists them."""

import sys
from datetime import timedelta
from pathlib import Path

from csp.constants import NONE, SELF
from kombu import Exchange, Queue

from config import variables

BASE_DIR = Path(__file__).resolve().parent.parent

DEBUG = variables.flag("DJANGO_DEBUG", default=False)
HTTPS = variables.flag("DJANGO_HTTPS", default=not DEBUG)
SECRET_KEY = variables.text("DJANGO_SECRET_KEY", "not-a-secret" if DEBUG else None)
# The machine's own names always, for the health checks.
ALLOWED_HOSTS = [*variables.words("DJANGO_ALLOWED_HOSTS", []), "localhost", "127.0.0.1", "[::1]"]
CSRF_TRUSTED_ORIGINS = variables.words("DJANGO_CSRF_TRUSTED_ORIGINS", [])

INSTALLED_APPS = [
    "config.apps.SiteConfig",
    "tracker",
    "catalog",
    "jobs",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.humanize",
    "django.contrib.messages",
    "django.contrib.postgres",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "axes",
    "csp",
    "django_filters",
    "django_htmx",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "heroicons",
    "knox",
    "rest_framework",
    "template_partials",
    *variables.words("MILLRACE_APPS", []),  # your own apps, when you run this site as it is
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "django_htmx.middleware.HtmxMiddleware",
    "axes.middleware.AxesMiddleware",  # last, as its documentation asks
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    }
]

# --- Database -------------------------------------------------------------------------------

DATABASE_URL = variables.text("DATABASE_URL", "postgres://localhost/millrace" if DEBUG else None)
ROLE = variables.text("MILLRACE_ROLE", Path(sys.argv[0]).stem or "python")  # web, worker, …
DATABASES = {"default": variables.database(DATABASE_URL)}
DATABASES["default"]["OPTIONS"] |= {
    "application_name": f"millrace {ROLE}",
    "connect_timeout": 3,
    # A cut network ends the connection; libpq alone would wait for ever.
    "keepalives_idle": 10,
    "keepalives_interval": 3,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,
}
if ROLE == "web":
    # The web alone has a pool: workers fork, and a forked pool is a broken pool.
    DATABASES["default"]["OPTIONS"]["pool"] = {"min_size": 1, "max_size": 16, "timeout": 3}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# --- Jobs -----------------------------------------------------------------------------------

JOBS_QUEUES = variables.words("JOBS_QUEUES", ["default", "io", "process", "hypervisor"])
JOBS_HEARTBEAT_SECONDS = variables.number("JOBS_HEARTBEAT_SECONDS", 1.0)
JOBS_LEASE_SECONDS = variables.number("JOBS_LEASE_SECONDS", 30.0)
JOBS_SELF_FENCE_SECONDS = variables.number("JOBS_SELF_FENCE_SECONDS", 20.0)
JOBS_STOP_GRACE_SECONDS = variables.number("JOBS_STOP_GRACE_SECONDS", 60.0)
JOBS_KILL_AFTER_SECONDS = variables.number("JOBS_KILL_AFTER_SECONDS", 5.0)
JOBS_MAX_CRASHES = variables.number("JOBS_MAX_CRASHES", 3)
JOBS_CONTROLLER_SECONDS = variables.number("JOBS_CONTROLLER_SECONDS", 0.5)
JOBS_REDISPATCH_SECONDS = variables.number("JOBS_REDISPATCH_SECONDS", 60.0)
JOBS_IDLE_TRANSACTION_SECONDS = variables.number("JOBS_IDLE_TRANSACTION_SECONDS", 15.0)
JOBS_DRAIN_SECONDS = variables.number("JOBS_DRAIN_SECONDS", 8.0)
JOBS_MEMORY_BYTES = variables.number("JOBS_MEMORY_BYTES", 4 * 1024**3)
JOBS_UNPACKED_BYTES = variables.number("JOBS_UNPACKED_BYTES", 4 * 1024**3)
JOBS_SLICE_SECONDS = variables.number("JOBS_SLICE_SECONDS", 0.0)
JOBS_STALL_LIMIT_SECONDS = variables.number("JOBS_STALL_LIMIT_SECONDS", 14_400.0)
JOBS_STALLED_SECONDS = variables.number("JOBS_STALLED_SECONDS", 900.0)
JOBS_INVARIANTS_SECONDS = variables.number("JOBS_INVARIANTS_SECONDS", 60.0)
JOBS_VERSION_WAIT_SECONDS = variables.number("JOBS_VERSION_WAIT_SECONDS", 600.0)
JOBS_NODE_ROLES = variables.words("JOBS_NODE_ROLES", [])
JOBS_WEB_THREADS = variables.number("MILLRACE_WEB_THREADS", 8)  # of one web process
JOBS_CONSOLE_BYTES = variables.number("JOBS_CONSOLE_BYTES", 50 * 1024 * 1024)

# --- How long things are kept; 0 for ever ----------------------------------------------------

JOBS_KEEP_SUCCEEDED_DAYS = variables.number("JOBS_KEEP_SUCCEEDED_DAYS", 90)
JOBS_KEEP_OTHERS_DAYS = variables.number("JOBS_KEEP_OTHERS_DAYS", 365)
JOBS_KEEP_LOG_DAYS = variables.number("JOBS_KEEP_LOG_DAYS", 0)
JOBS_KEEP_UPLOAD_DAYS = variables.number("JOBS_KEEP_UPLOAD_DAYS", 7)
JOBS_KEEP_LEDGER_DAYS = variables.number("JOBS_KEEP_LEDGER_DAYS", 90)
JOBS_KEEP_NOTICE_DAYS = variables.number("JOBS_KEEP_NOTICE_DAYS", 90)

# --- What jobs tell others: mails and webhooks -----------------------------------------------

JOBS_OUTBOX_TRIES = variables.number("JOBS_OUTBOX_TRIES", 15)  # over about two days
JOBS_OUTBOX_LEASE_SECONDS = variables.number("JOBS_OUTBOX_LEASE_SECONDS", 120.0)
JOBS_WEBHOOK_SECRET = variables.text("JOBS_WEBHOOK_SECRET", "")
JOBS_WEBHOOK_HOSTS = [host.lower() for host in variables.words("JOBS_WEBHOOK_HOSTS", [])]
vars().update(variables.mail(variables.text("EMAIL_URL", "console:" if DEBUG else "")))
EMAIL_TIMEOUT = 10
DEFAULT_FROM_EMAIL = variables.text("EMAIL_FROM", "millrace@localhost")

# --- Files from elsewhere: what may come in, and where from -----------------------------------

JOBS_UPLOAD_BYTES = variables.number("JOBS_UPLOAD_BYTES", 2 * 1024**3)  # of one file
JOBS_UPLOADS_PER_DAY_BYTES = variables.number("JOBS_UPLOADS_PER_DAY_BYTES", 20 * 1024**3)
FILE_UPLOAD_HANDLERS = [
    "jobs.control.uploads.LimitedHandler",
    "django.core.files.uploadhandler.MemoryFileUploadHandler",
    "django.core.files.uploadhandler.TemporaryFileUploadHandler",
]
JOBS_FOLDERS = variables.folders("JOBS_FOLDERS")
JOBS_PLACE_HOSTS = [host.lower() for host in variables.words("JOBS_PLACE_HOSTS", [])]
JOBS_CREDENTIAL_KEYS = variables.words_or_file("JOBS_CREDENTIAL_KEYS")  # the newest first

# --- Broker: a message is only a hint, the rows are the truth -------------------------------

CELERY_BROKER_URL = variables.text("REDIS_URL", "redis://localhost" if DEBUG else None)
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
CELERY_BROKER_TRANSPORT_OPTIONS = {
    "global_keyprefix": variables.text("JOBS_KEY_PREFIX", "jobs:"),
    "visibility_timeout": 86_400,
    "socket_timeout": 5,
    "socket_connect_timeout": 3,
    "socket_keepalive": True,
    "health_check_interval": 10,
}
CELERY_TASK_DEFAULT_QUEUE = "default"
# What a worker without -Q serves; each with a key of its own, or one message would reach all.
CELERY_TASK_QUEUES = [Queue(name, Exchange(name), routing_key=name) for name in JOBS_QUEUES]
CELERY_TASK_SERIALIZER = "json"
CELERY_ACCEPT_CONTENT = ["json"]
CELERY_TASK_IGNORE_RESULT = True
CELERY_RESULT_BACKEND = None
CELERY_TASK_ACKS_LATE = False  # a lost message is sent again by the controller
CELERY_TASK_PUBLISH_RETRY = False
CELERY_TASK_SEND_SENT_EVENT = True
CELERY_WORKER_SEND_TASK_EVENTS = True  # for Flower; nothing of ours depends on them
CELERY_WORKER_ENABLE_REMOTE_CONTROL = True
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_DISABLE_PREFETCH = True
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = False
CELERY_WORKER_MAX_TASKS_PER_CHILD = 200
CELERY_WORKER_HIJACK_ROOT_LOGGER = False
CELERY_DB_REUSE_MAX = 1_000_000  # the supervisor keeps its one connection around the tasks
CELERY_TIMEZONE = "UTC"

# --- Files ----------------------------------------------------------------------------------

MEDIA_ROOT = Path(variables.text("MILLRACE_FILES", str(BASE_DIR / ".millrace" / "files")))
STATIC_ROOT = Path(variables.text("MILLRACE_STATIC", str(BASE_DIR / ".millrace" / "static")))
STATIC_URL = "static/"
# Names with a hash of the content, cached for ever; without collecting, straight from the apps.
COLLECTED = variables.flag("MILLRACE_STATIC_COLLECTED", default=not DEBUG)
STATIC_STORAGE = (
    "whitenoise.storage.CompressedManifestStaticFilesStorage"
    if COLLECTED
    else "django.contrib.staticfiles.storage.StaticFilesStorage"
)
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": STATIC_STORAGE},
}
WHITENOISE_USE_FINDERS = not COLLECTED
FILE_UPLOAD_PERMISSIONS = 0o600

# --- People ---------------------------------------------------------------------------------

AUTHENTICATION_BACKENDS = [
    "axes.backends.AxesStandaloneBackend",
    "config.backends.OneQueryBackend",
]
PASSWORD_HASHERS = [
    "django.contrib.auth.hashers.Argon2PasswordHasher",
    "django.contrib.auth.hashers.PBKDF2PasswordHasher",
]
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}", "OPTIONS": options}
    for name, options in (
        ("UserAttributeSimilarityValidator", {}),
        ("MinimumLengthValidator", {"min_length": 12}),
        ("CommonPasswordValidator", {}),
        ("NumericPasswordValidator", {}),
    )
]
LOGIN_URL = "/login/"
LOGIN_REDIRECT_URL = "/"
LOGOUT_REDIRECT_URL = "/login/"
AXES_FAILURE_LIMIT = 6
AXES_COOLOFF_TIME = 0.25  # hours
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_LOCKOUT_CALLABLE = "tracker.errors.locked_out"
AXES_VERBOSE = False  # no word at every start

# --- REST -----------------------------------------------------------------------------------

REST_FRAMEWORK = {
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "jobs.api.authentication.TokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAuthenticated"],
    "DEFAULT_FILTER_BACKENDS": ["django_filters.rest_framework.DjangoFilterBackend"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "jobs.api.problems.handler",
}
KNOX_TOKEN_MODEL = "jobs.ApiToken"  # noqa: S105 - the name of a model
MIGRATION_MODULES = {"knox": None}  # they would make a table of knox's own that nobody uses
REST_KNOX = {"AUTH_HEADER_PREFIX": "Bearer", "TOKEN_TTL": timedelta(days=90)}
SPECTACULAR_SETTINGS = {
    "TITLE": "Millrace",
    "DESCRIPTION": "Launch background jobs, follow them and stop them.",
    "VERSION": "1",
    "SERVE_INCLUDE_SCHEMA": False,
    "ENUM_NAME_OVERRIDES": {
        "StatusEnum": "jobs.states.Status",
        "StepStatusEnum": "jobs.states.StepStatus",
        "NotificationKindEnum": "jobs.models.notification.Notification.Kind",
        "StopKindEnum": "jobs.control.scopes.Kind",
        "CredentialKindEnum": "jobs.models.credential.Credential.Kind",
    },
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
}

# --- Web security ---------------------------------------------------------------------------

METRICS_TOKEN = variables.text("METRICS_TOKEN", "")  # without one there is no /metrics
CSRF_FAILURE_VIEW = "tracker.errors.csrf_failure"
X_FRAME_OPTIONS = "DENY"
SECURE_REFERRER_POLICY = "same-origin"
SECURE_SSL_REDIRECT = HTTPS
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if HTTPS else None
SECURE_HSTS_SECONDS = 31_536_000 if HTTPS else 0
SECURE_HSTS_INCLUDE_SUBDOMAINS = HTTPS
SECURE_HSTS_PRELOAD = HTTPS
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]  # from inside, without TLS
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SESSION_COOKIE_NAME = "__Host-session" if HTTPS else "session"
CSRF_COOKIE_NAME = "__Host-csrf" if HTTPS else "csrf"
CSRF_COOKIE_HTTPONLY = True
SESSION_COOKIE_AGE = 12 * 3600
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [SELF],
        "object-src": [NONE],
        "base-uri": [NONE],
        "form-action": [SELF],
        "frame-ancestors": [NONE],
    }
}

# --- Language, time, log --------------------------------------------------------------------

LANGUAGE_CODE = "en"
TIME_ZONE = "UTC"
USE_TZ = True
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"format": "{asctime} {levelname} {name} [{process}] {message}", "style": "{"},
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": variables.text("MILLRACE_LOG_LEVEL", "INFO")},
    "loggers": {
        "django.server": {"handlers": ["console"], "propagate": False},
        # They would tell of every request, some with the tokens in its address.
        **{name: {"level": "WARNING"} for name in ("azure", "botocore", "paramiko", "urllib3")},
    },
}

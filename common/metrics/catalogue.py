"""Every metric there is, by its place in the house. docs/metrics.md is the same list for people."""

from common.metrics.kinds import Fold, Registry

REGISTRY = Registry()

_count = REGISTRY.counter
_gauge = REGISTRY.gauge
_histogram = REGISTRY.histogram

# Seconds. A fill is a layer's download, some milliseconds to many minutes; an answer is to begin.
_FILL_SECONDS = (0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 900.0, 3600.0)
_ANSWER_SECONDS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)

# What clients asked for. `type` is blob or manifest, of misses and joins also tags or referrers.
HITS = _count(
    "entrepot_hits_total",
    "Requests answered from storage, the upstream not asked.",
    "upstream",
    "type",
)
MISSES = _count(
    "entrepot_misses_total",
    "Requests that had the upstream asked: a job was queued. Confirming a tag counts too.",
    "upstream",
    "type",
)
JOINS = _count(
    "entrepot_joins_total",
    "Requests that joined a job or a download under way, and had nobody asked.",
    "upstream",
    "type",
)
STALE = _count(
    "entrepot_stale_answers_total",
    "Older answers given since the upstream could not be asked, marked with a Warning.",
    "upstream",
)
SENT = _count("entrepot_sent_bytes_total", "Bytes of bodies handed to clients.", "type")
ERRORS = _count(
    "entrepot_errors_total",
    "Requests answered with an error, by status and the specification's code.",
    "status",
    "code",
)
STREAMS = _gauge("entrepot_open_streams", "Blob bodies being sent now.", fold=Fold.SUM)
WAITERS = _gauge("entrepot_waiters", "Requests that wait for what is not here yet.", fold=Fold.SUM)
ERRANDS = _gauge("entrepot_errands", "Jobs that frontends have under way.", fold=Fold.SUM)
OLDEST_ERRAND = _gauge(
    "entrepot_oldest_errand_seconds",
    "How long the oldest job that clients wait for has been under way, unanswered.",
    fold=Fold.MAX,
)
LOOP_LAG = _gauge(
    "entrepot_loop_lag_seconds",
    "The longest a worker's event loop came late within the last half minute.",
    fold=Fold.MAX,
)

# Jobs and the queue.
JOBS = _count(
    "entrepot_jobs_total",
    "Jobs that fetchers took, by what they came to: done, failed, held (somebody is at it), left"
    " (for a successor), deferred (its upstream has its share of slots), storage, broken.",
    "job",
    "outcome",
)
RETRIES = _count("entrepot_retries_total", "Messages to be tried again later.", "queue")
DEAD_LETTERS = _count(
    "entrepot_dead_letters_total", "Messages put aside for people to look at.", "queue"
)
DEPTH = _gauge("entrepot_queue_depth", "Messages that wait and are due.", "queue", fold=Fold.LAST)
OLDEST = _gauge(
    "entrepot_queue_oldest_seconds",
    "For how long the oldest of them has waited, at most; 0 where none does.",
    "queue",
    fold=Fold.LAST,
)
DEAD = _gauge(
    "entrepot_queue_dead_letters", "Messages that lie in the dead-letter queue.", fold=Fold.LAST
)
CONNECTED = _gauge(
    "entrepot_queue_connected",
    "1 while all processes of the role can publish, 0 while one cannot.",
    "role",
    fold=Fold.MIN,
)

# Claims.
CLAIMS = _count(
    "entrepot_claims_total",
    "Attempts to claim work: taken, refused (somebody has it), lost (taken over by another).",
    "outcome",
)
CLAIMS_HELD = _gauge("entrepot_claims_held", "Claims that fetchers hold now.", fold=Fold.SUM)

# Upstreams.
RECEIVED = _count(
    "entrepot_received_bytes_total", "Bytes of bodies received from it.", "upstream", "type"
)
FILLS = _histogram(
    "entrepot_fill_seconds",
    "How long fills that ended well took, from claim to commit.",
    "upstream",
    buckets=_FILL_SECONDS,
)
FILL_FAILURES = _count(
    "entrepot_fill_failures_total",
    "Jobs about it that failed: absent, denied, limited, timeout, unreachable, unasked, wrong"
    " (bytes), storage, other.",
    "upstream",
    "cause",
)
FILLS_RUNNING = _gauge("entrepot_fills_running", "Fills under way.", "upstream", fold=Fold.SUM)
ASKED = _count(
    "entrepot_upstream_requests_total",
    "Requests to the registry itself, by its answer: 2xx, 3xx, 4xx, 429, 5xx; error without one.",
    "upstream",
    "answer",
)
ASKED_SECONDS = _histogram(
    "entrepot_upstream_request_seconds",
    "How long its answers' headers took.",
    "upstream",
    buckets=_ANSWER_SECONDS,
)
UNASKED = _count(
    "entrepot_upstream_unasked_total",
    "Questions kept back: rest (it asked for one), breaker (it does not answer).",
    "upstream",
    "reason",
)
TRIES = _count(
    "entrepot_upstream_retries_total", "Questions put again after a failure, within one job."
)
BREAKER = _gauge(
    "entrepot_upstream_breaker_open",
    "1 while a process keeps questions back since it does not answer.",
    "upstream",
    fold=Fold.MAX,
)
RESTING = _gauge(
    "entrepot_upstream_resting_seconds",
    "Seconds until it wants to be asked again; 0: now.",
    "upstream",
    fold=Fold.MAX,
)
CONNECTIONS = _gauge(
    "entrepot_upstream_connections", "Connections in use for downloads.", "upstream", fold=Fold.SUM
)
QUOTA_LIMIT = _gauge(
    "entrepot_upstream_ratelimit",
    "Requests it allows in its window, where it says so.",
    "upstream",
    fold=Fold.LAST,
)
QUOTA_LEFT = _gauge(
    "entrepot_upstream_ratelimit_remaining",
    "How many of them were left when it last said so.",
    "upstream",
    fold=Fold.LAST,
)

# Storage.
EXPIRATIONS = _count(
    "entrepot_expirations_total",
    "Links and tags removed because their time was over: layer, manifest, tag.",
    "kind",
)
EVICTIONS = _count(
    "entrepot_evictions_total", "Links removed to make room, before their time.", "kind"
)
EVICTED = _count("entrepot_evicted_bytes_total", "Bytes condemned to make room.")
DAMAGED = _count("entrepot_damaged_blobs_total", "Blobs found damaged and put aside.")
CACHED = _gauge(
    "entrepot_cache_bytes",
    "Bytes of blobs linked for it, when last counted; what several link counts for each.",
    "upstream",
    fold=Fold.LAST,
)
CACHED_BLOBS = _gauge(
    "entrepot_cache_blobs", "How many blobs that are, likewise.", "upstream", fold=Fold.LAST
)
COUNTED = _gauge(
    "entrepot_cache_counted_timestamp_seconds",
    "When that was counted last, in unix seconds.",
    fold=Fold.LAST,
)
COUNT_SECONDS = _gauge(
    "entrepot_cache_count_seconds", "How long the counting took.", fold=Fold.LAST
)
SWEPT = _gauge(
    "entrepot_sweep_timestamp_seconds",
    "When the last sweep that this process made ended, in unix seconds.",
    fold=Fold.LAST,
)
SWEEP_SECONDS = _gauge("entrepot_sweep_seconds", "How long it took.", fold=Fold.LAST)
USED = _gauge(
    "entrepot_storage_bytes",
    "What counts towards janitor.maxsize: blobs, trash; told by whoever keeps a limit.",
    "part",
    fold=Fold.LAST,
)
LIMIT = _gauge("entrepot_storage_limit_bytes", "janitor.maxsize; absent without.", fold=Fold.LAST)
FREE = _gauge(
    "entrepot_filesystem_free_bytes", "Free on the storage folder's file system.", fold=Fold.LAST
)
SIZE = _gauge("entrepot_filesystem_bytes", "That file system's size.", fold=Fold.LAST)

# Processes.
BUILD = _gauge("entrepot_build_info", "1, labelled with what runs.", "version", fold=Fold.MAX)
PROCESSES = _gauge("entrepot_processes", "Processes that live.", "role", fold=Fold.SUM)
STARTED = _gauge(
    "entrepot_process_start_time_seconds",
    "When the youngest of them started, in unix seconds.",
    "role",
    fold=Fold.MAX,
)
CPU = _count("entrepot_process_cpu_seconds_total", "Their processor time.", "role")
MEMORY = _gauge(
    "entrepot_process_resident_memory_bytes", "Their resident memory.", "role", fold=Fold.SUM
)
FILES = _gauge("entrepot_process_open_fds", "Their open files.", "role", fold=Fold.SUM)
FILES_MAX = _gauge(
    "entrepot_process_max_fds",
    "How many one of them may open, the fewest.",
    "role",
    fold=Fold.MIN,
)
THREADS = _gauge("entrepot_process_threads", "Their threads.", "role", fold=Fold.SUM)

# As distribution's proxy has them (registry/proxy/proxymetrics.go), so that panels for it go on
# working. `type` is blob or manifest. They are made of the others when somebody asks.
PROXY_REQUESTS = _count(
    "registry_proxy_requests_total",
    "The number of total incoming proxy request received",
    "type",
)
PROXY_HITS = _count("registry_proxy_hits_total", "The number of total proxy request hits", "type")
PROXY_MISSES = _count(
    "registry_proxy_misses_total", "The number of total proxy request misses", "type"
)
PROXY_PULLED = _count(
    "registry_proxy_pulled_bytes_total", "The size of total bytes pulled from the upstream", "type"
)
PROXY_PUSHED = _count(
    "registry_proxy_pushed_bytes_total", "The size of total bytes pushed to the client", "type"
)


def upstream_label(name: str) -> str:
    """How an upstream is called in labels: its configured name, `default` for the nameless one."""
    return name or "default"

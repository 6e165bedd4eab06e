"""What must have happened for each alert to fire, and a healthy cache, where none does."""

Series = tuple[str, str]
"""A series, and its values a minute apart, as promtool writes them."""

FIRING: dict[str, tuple[list[Series], str, dict[str, str]]] = {
    "EntrepotNoFrontend": ([('up{job="frontend"}', "1x60")], "10m", {"role": "frontend"}),
    "EntrepotFrontendDown": (
        [('up{job="frontend",instance="a:5001"}', "0x60")],
        "10m",
        {"job": "frontend", "instance": "a:5001"},
    ),
    "EntrepotNoFetcher": ([('entrepot_processes{role="fetcher"}', "0x60")], "10m", {}),
    "EntrepotNoJanitor": (
        [('entrepot_processes{role="frontend"}', "1x60")],
        "40m",
        {"role": "janitor"},
    ),
    "EntrepotQueueUnreachable": (
        [
            ('entrepot_queue_connected{role="fetcher"}', "0x60"),
            ('entrepot_queue_connected{role="frontend"}', "1x60"),
        ],
        "10m",
        {"role": "fetcher"},
    ),
    "EntrepotQueueBacklog": (
        [('entrepot_queue_oldest_seconds{queue="interactive"}', "30x60")],
        "10m",
        {},
    ),
    "EntrepotDeadLetters": ([("entrepot_queue_dead_letters", "2x60")], "10m", {}),
    "EntrepotUpstreamDown": (
        [
            ('entrepot_upstream_breaker_open{upstream="default"}', "1x60"),
            ('entrepot_upstream_breaker_open{upstream="quay.io"}', "0x60"),
        ],
        "10m",
        {"upstream": "default"},
    ),
    "EntrepotUpstreamRateLimit": (
        [
            ('entrepot_upstream_ratelimit{upstream="default"}', "100x60"),
            ('entrepot_upstream_ratelimit_remaining{upstream="default"}', "5x60"),
        ],
        "10m",
        {"upstream": "default"},
    ),
    "EntrepotFillFailures": (
        [
            ('entrepot_fill_failures_total{upstream="default",cause="timeout"}', "0+60x60"),
            ('entrepot_fill_failures_total{upstream="quay.io",cause="absent"}', "0+60x60"),
        ],
        "30m",
        {"upstream": "default"},
    ),
    "EntrepotStaleAnswers": (
        [('entrepot_stale_answers_total{upstream="default"}', "0+1x60")],
        "30m",
        {"upstream": "default"},
    ),
    "EntrepotServerErrors": (
        [
            ('entrepot_errors_total{status="503",code="UNAVAILABLE"}', "0+60x60"),
            ('entrepot_hits_total{upstream="default",type="blob"}', "0+600x60"),
            ('entrepot_misses_total{upstream="default",type="blob"}', "0+0x60"),
            ('entrepot_joins_total{upstream="default",type="blob"}', "0+0x60"),
        ],
        "20m",
        {},
    ),
    "EntrepotDiskNearlyFull": (
        [("entrepot_filesystem_free_bytes", "10x60"), ("entrepot_filesystem_bytes", "1000x60")],
        "20m",
        {},
    ),
    "EntrepotOverLimit": (
        [
            ('entrepot_storage_bytes{part="blobs"}', "1200x60"),
            ("entrepot_storage_limit_bytes", "1000x60"),
        ],
        "50m",
        {},
    ),
    "EntrepotDamagedBlobs": ([("entrepot_damaged_blobs_total", "0x10 1x50")], "30m", {}),
    "EntrepotSweepOverdue": ([("entrepot_sweep_timestamp_seconds", "-200000x90")], "80m", {}),
    "EntrepotLoopLag": ([('entrepot_loop_lag_seconds{instance="a"}', "3x60")], "10m", {}),
}

HEALTHY: list[Series] = [
    ('entrepot_processes{role="frontend"}', "1x60"),
    ('entrepot_processes{role="fetcher"}', "1x60"),
    ('entrepot_processes{role="janitor"}', "1x60"),
    ('up{job="frontend"}', "1x60"),
    ('entrepot_queue_connected{role="fetcher"}', "1x60"),
    ('entrepot_queue_oldest_seconds{queue="interactive"}', "1x60"),
    ("entrepot_queue_dead_letters", "0x60"),
    ('entrepot_upstream_breaker_open{upstream="default"}', "0x60"),
    ('entrepot_upstream_ratelimit{upstream="default"}', "100x60"),
    ('entrepot_upstream_ratelimit_remaining{upstream="default"}', "90x60"),
    ('entrepot_upstream_resting_seconds{upstream="default"}', "0x60"),
    ('entrepot_fill_failures_total{upstream="default",cause="absent"}', "0+60x60"),
    ('entrepot_stale_answers_total{upstream="default"}', "0x60"),
    ('entrepot_errors_total{status="404",code="BLOB_UNKNOWN"}', "0+60x60"),
    ('entrepot_errors_total{status="503",code="UNAVAILABLE"}', "0+1x60"),
    ('entrepot_hits_total{upstream="default",type="blob"}', "0+600x60"),
    ('entrepot_misses_total{upstream="default",type="blob"}', "0+10x60"),
    ('entrepot_joins_total{upstream="default",type="blob"}', "0+10x60"),
    ("entrepot_filesystem_free_bytes", "200x60"),
    ("entrepot_filesystem_bytes", "1000x60"),
    ('entrepot_storage_bytes{part="blobs"}', "1000x60"),
    ("entrepot_storage_limit_bytes", "1000x60"),
    ("entrepot_damaged_blobs_total", "3x60"),
    ("entrepot_sweep_timestamp_seconds", "0x60"),
    ('entrepot_loop_lag_seconds{instance="a"}', "0.01x60"),
]

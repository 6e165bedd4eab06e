"""The one place that says which version this is: the build reads it from here, too."""

VERSION = "0.1.0.dev0"
"""By PEP 440."""

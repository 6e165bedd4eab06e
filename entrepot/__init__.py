"""The command line, and the supervisor that runs every role on one machine."""

"""Who may come in: one module a scheme, and the guard that asks it before anything else is looked at."""

"""What frontend, fetcher and janitor share; it imports none of them."""

FROM python:3.11-slim-bookworm
RUN apt-get update -qq && apt-get install -qq --yes --no-install-recommends haproxy wget >/dev/null
STOPSIGNAL SIGUSR1
CMD ["haproxy", "-W", "-db", "-f", "/usr/local/etc/haproxy/haproxy.cfg"]

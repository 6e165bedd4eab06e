FROM python:3.11-slim-bookworm
# The user's number is that of the public image.
RUN apt-get update -qq \
 && apt-get install -qq --yes --no-install-recommends rabbitmq-server >/dev/null \
 && usermod --uid 999 rabbitmq && mkdir -p /etc/rabbitmq/conf.d && touch /etc/rabbitmq/enabled_plugins \
 && rm -rf /var/lib/rabbitmq/* /var/lib/rabbitmq/.erlang.cookie /etc/rabbitmq/rabbitmq-env.conf \
 && chown -R rabbitmq: /var/lib/rabbitmq /var/log/rabbitmq
# Debian's scripts in /usr/sbin change users; those they wrap do not.
ENV PATH=/usr/lib/rabbitmq/bin:$PATH HOME=/var/lib/rabbitmq RABBITMQ_LOGS=- \
    RABBITMQ_CONF_ENV_FILE=/dev/null RABBITMQ_CONFIG_FILES=/etc/rabbitmq/conf.d \
    RABBITMQ_PID_FILE=/tmp/rabbitmq.pid RABBITMQ_LOG_BASE=/tmp
CMD ["rabbitmq-server"]

FROM python:3.11-slim-bookworm
RUN apt-get update -qq && apt-get install -qq --yes --no-install-recommends prometheus wget >/dev/null \
 && install -d -o nobody -g nogroup /prometheus
ENTRYPOINT ["prometheus"]

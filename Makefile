# make run    entrepot on port 5000, with the packaged configuration or CONFIG=file
# make test   lint, types and all tests; TESTS=path for some of them
# make test-stack  deploy/compose.yml as containers, on a Docker or podman engine
# make bench  entrepot beside docker-registry and nginx; BENCH="--quick --rows herd" for less
# make demo   the main job, shown without the internet
# make docs   the parts of docs/ that are made from the code
# make site   the documentation as a web site, in build/site
# make dist   wheel and sdist, in dist
# make lock   the lock files anew; UPGRADE=--upgrade for newer versions

.PHONY: run test test-stack bench demo docs site dist lock

run: .venv/runtime
	exec .venv/bin/entrepot serve $(CONFIG)

test: .venv/development
	.ci/packages docker-registry=docker-registry rabbitmq-server=rabbitmq-server \
	  skopeo=skopeo podman=podman crun=crun ctr=containerd openssl=openssl haproxy=haproxy \
	  mkfs.ext4=e2fsprogs /usr/lib/podman/netavark=netavark /usr/lib/podman/aardvark-dns=aardvark-dns \
	  prometheus=prometheus promtool=prometheus systemd-analyze=systemd nginx=nginx wrk=wrk \
	  chromium=chromium groff=groff-base
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/python -m pytest $(TESTS)

test-stack: .venv/development
	.ci/packages debootstrap=debootstrap iptables=iptables
	.venv/bin/python -m pytest -s --timeout 1500 tests/stack/running.py

bench: .venv/development
	.ci/packages docker-registry=docker-registry nginx=nginx wrk=wrk haproxy=haproxy \
	  rabbitmq-server=rabbitmq-server
	.venv/bin/python -m bench $(BENCH)

demo: .venv/runtime
	.ci/packages docker-registry=docker-registry skopeo=skopeo
	.venv/bin/entrepot demo

docs: .venv/development
	.venv/bin/python -m tests.common.configuration_keys
	.venv/bin/python -m tests.common.configuration_table
	.venv/bin/python -m tests.common.metrics_table
	.venv/bin/python -m entrepot.manual > docs/entrepot.1

site: .venv/development
	.venv/bin/mkdocs build --strict

dist: .venv/development
	.venv/bin/python -m build --no-isolation
	.venv/bin/twine check --strict dist/*

# What runs is part of what tests need: whoever has the second has the first.
.venv/runtime: requirements.lock
	.ci/venv requirements.lock
	touch $@

.venv/development: requirements-dev.lock
	.ci/venv requirements-dev.lock
	touch .venv/runtime $@

# From pyproject.toml, by pip-tools in an environment that is thrown away. The caller's pip
# configuration stays out of it: a lock names versions and hashes, not where they are from.
lock:
	set -e; made=$$(mktemp -d); trap 'rm -rf "$$made"' EXIT; \
	python3 -m venv "$$made"; "$$made/bin/pip" install --quiet pip-tools; \
	export PIP_CONFIG_FILE=/dev/null PIP_FIND_LINKS=; \
	compile="$$made/bin/pip-compile --quiet --generate-hashes --no-emit-index-url \
	  --no-emit-find-links --strip-extras --allow-unsafe --no-header \
	  --build-deps-for editable $(UPGRADE)"; \
	$$compile --build-deps-for wheel -o requirements.lock pyproject.toml; \
	$$compile --extra dev -c requirements.lock -o requirements-dev.lock pyproject.toml

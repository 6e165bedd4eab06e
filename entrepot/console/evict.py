"""Evicting from the console: what would go, and that it has."""

from http import HTTPStatus
from itertools import islice

from common import logs, walk
from common.broker import Broker
from common.config import Config
from common.insight.eviction import Eviction, Plan
from common.messages import Kind
from common.paths import Layout
from entrepot.console.frame import button, confirmation, facts
from entrepot.console.html import el
from entrepot.console.rights import Visitor
from entrepot.console.targets import Target, absent, target_of
from entrepot.console.web import Refusal, Request, Response

_log = logs.get(__name__)

# Manifests of a repository that are all read to see what an image shares; beyond, the command
# line has the time for it.
_MOST = 2000


class Evict:
    """Plans for the page that asks, and once more when it is done."""

    def __init__(self, config: Config, broker: Broker) -> None:
        self._layout = Layout(config.storage.rootdirectory)
        self._eviction = Eviction(self._layout, config.proxy.upstreams)
        self._broker = broker

    def get(self, request: Request, visitor: Visitor) -> Response:
        """The page that asks."""
        what = target_of(request.query.get("target", ""))
        plan = self._plan(what)
        told = [
            el("p", "The next pull fetches it anew. Blobs that others need stay."),
            facts(
                ("Tags", ", ".join(plan.tags[:20]) + (", …" if len(plan.tags) > 20 else "") or "-"),  # noqa: PLR2004 - a few lines
                ("Manifests", f"{len(plan.manifests):,}"),
                ("Layers", f"{len(plan.layers):,}"),
            ),
        ]
        form = button(visitor, "/evict", "Evict", {"target": str(what)}, "danger")
        return Response.of(
            confirmation(visitor, f"Evict {what}?", told, form, what.page, "/cached")
        )

    def post(self, request: Request, visitor: Visitor) -> Response:
        """Do it."""
        what = target_of(request.form.get("target", ""))
        plan = self._plan(what)
        _log.info("evicted at the console", who=visitor.name, target=str(what))
        try:
            self._eviction.carry_out(plan, self._broker if self._broker.connected else None)
        except OSError as error:
            _log.exception("evicting at the console failed", target=str(what))
            text = (
                f"The storage folder did not let us: {error.strerror}. What was removed stays so."
            )
            raise Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, text) from error
        left = Target(what.repository, None)
        is_left = what.reference is not None and bool(self._eviction.plan(what.repository))
        return Response.see(f"{left.page if is_left else '/cached'}?done=evicted")

    def _plan(self, what: Target) -> Plan:
        linked = walk.links(self._layout, what.repository, (Kind.MANIFEST,))
        if what.reference is not None and len(list(islice(linked, _MOST + 1))) > _MOST:
            text = (
                f"There is too much in {what.repository} to plan this here: use `entrepot evict`."
            )
            raise Refusal(HTTPStatus.CONFLICT, text)
        plan = self._eviction.plan(what.repository, what.reference)
        if not plan:
            raise absent(what)
        return plan

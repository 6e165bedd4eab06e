"""Verifying from the console: what is to be read again, how far it is, what was found."""

from collections.abc import Callable, Iterable, Iterator
from http import HTTPStatus

from common import logs, walk
from common.config import Config
from common.digest import Digest
from common.insight.catalog import Catalog
from common.links import Links
from common.messages import Kind
from common.paths import Layout
from common.tags import Tags
from entrepot.console.events import Parts
from entrepot.console.frame import (
    button,
    card,
    confirmation,
    counted,
    facts,
    joined,
    link,
    note,
    page,
    short,
)
from entrepot.console.hashing import Hashing, Job
from entrepot.console.html import Child, Html, el, together
from entrepot.console.rights import Visitor
from entrepot.console.targets import Target, absent, target_of
from entrepot.console.web import Refusal, Request, Response
from entrepot.progress import amount
from entrepot.tables import ago, span

_log = logs.get(__name__)

# Blobs of one job: beyond, `entrepot verify` has the time for it.
_MOST = 10_000


class Verify:
    """Finds out which blobs are meant, and has them looked at."""

    def __init__(self, config: Config, hashing: Hashing) -> None:
        self._layout = Layout(config.storage.rootdirectory)
        self._catalog = Catalog(self._layout)
        self._links = Links(self._layout)
        self._tags = Tags(self._layout)
        self._hashing = hashing

    def get(self, request: Request, visitor: Visitor) -> Response:
        """The page that asks, where something is named; else what is done and was found."""
        named = request.query.get("target", "")
        return self._ask(target_of(named), visitor) if named else self._show(request, visitor)

    def _ask(self, what: Target, visitor: Visitor) -> Response:
        digests = self._digests(what)
        told = [
            el("p", "Each blob is read and compared with its digest. A damaged one is put aside:"
               " the next pull fetches it anew."),
            facts(("Blobs", f"{len(digests):,}")),
        ]  # fmt: skip
        form = button(visitor, "/verify", "Verify", {"target": str(what)})
        back = f"/cached/{what.repository}"
        return Response.of(confirmation(visitor, f"Verify {what}?", told, form, back, "/verify"))

    def _show(self, request: Request, visitor: Visitor) -> Response:
        full = request.query.get("done") == "full"
        parts = self.parts()
        return Response.of(
            page(
                "Verify",
                visitor,
                el("h1", "Verify"),
                note("There are enough requests: wait for one to end.", "warning")
                if full
                else None,
                [el("div", part, id=name) for name, part in parts.items()],
                self._stopping(visitor),
                at="/verify",
                live="verify",
            )
        )

    def topics(self) -> dict[str, Callable[[], Parts]]:
        """What can be watched."""
        return {"verify": self.parts}

    def parts(self) -> Parts:
        """Jobs and what they found."""
        jobs = [_job(job) for job in self._hashing.jobs()]
        hint = together(
            "Nothing was verified since the console started. Choose something that is ",
            link("cached", "/cached"),
            ".",
        )
        return {"jobs": together(jobs) if jobs else el("p", hint, class_="quiet")}

    def _stopping(self, visitor: Visitor) -> Html | None:
        # Beside what changes by itself, which must not take a button from under somebody's finger.
        going = [job for job in self._hashing.jobs() if job.ended is None]
        buttons = [
            button(visitor, "/verify/stop", f"Stop {job.target}", {"number": str(job.number)})
            for job in going
        ]
        return el("div", buttons, class_="actions") if buttons and not visitor.barred else None

    def post(self, request: Request, visitor: Visitor) -> Response:
        """Have it done."""
        what = target_of(request.form.get("target", ""))
        if not self._hashing.add(str(what), self._digests(what), visitor.name):
            return Response.see("/verify?done=full")
        _log.info("verification asked for at the console", who=visitor.name, target=str(what))
        return Response.see("/verify")

    def stop(self, request: Request, visitor: Visitor) -> Response:
        """End one that is not done yet."""
        number = request.form.get("number", "")
        if number.isascii() and number.isdecimal() and self._hashing.stop(int(number[:9])):
            _log.info("verification stopped at the console", who=visitor.name, number=number)
        return Response.see("/verify")

    def _digests(self, what: Target) -> list[Digest]:
        found = list(dict.fromkeys(self._meant(what)))
        if not found:
            raise absent(what)
        if len(found) > _MOST:
            text = f"There is too much in {what} to verify it here: use `entrepot verify`."
            raise Refusal(HTTPStatus.CONFLICT, text)
        return found

    def _meant(self, what: Target) -> Iterator[Digest]:
        if what.reference is None:
            for count, (_, digest) in enumerate(walk.links(self._layout, what.repository)):
                yield digest
                if count > _MOST:
                    return
            return
        if isinstance(what.reference, Digest):
            digest = what.reference
        elif stored := self._tags.read(what.repository, what.reference):
            digest = stored.digest
        else:
            return
        if self._links.has(Kind.MANIFEST, what.repository, digest):
            yield from self._image(what, digest)
        elif self._links.has(Kind.LAYER, what.repository, digest):
            yield digest

    def _image(self, what: Target, manifest: Digest) -> Iterator[Digest]:
        yield manifest
        described = self._catalog.described(manifest)
        parts = [part.digest for part in described.parts]
        yield from self._linked(what, Kind.LAYER, parts)
        children = [child.digest for child in described.children]
        for child in self._linked(what, Kind.MANIFEST, children):
            yield child
            inner = [part.digest for part in self._catalog.described(child).parts]
            yield from self._linked(what, Kind.LAYER, inner)

    def _linked(self, what: Target, kind: Kind, digests: Iterable[Digest]) -> Iterator[Digest]:
        return (each for each in digests if self._links.has(kind, what.repository, each))


def _job(job: Job) -> Html:
    name = f"Progress of {job.target}"
    bar = el(
        "div",
        el("progress", value=job.read, max=max(job.size, 1), aria_label=name),
        el("span", f"{amount(job.read)} of {amount(job.size)}", class_="share"),
        class_="bar",
    )
    found = [
        el("li", short(digest), " ", el("span", problem, class_="bad"))
        for digest, problem in job.findings.items()
    ]
    return card(
        job.target,
        bar if job.began and job.ended is None else None,
        _outcome(job),
        el("ul", found) if found else None,
    )


def _outcome(job: Job) -> Html:
    told: Child
    if job.began is None:
        told = "Waits for its turn."
    elif job.ended is None:
        told = f"{job.looked_at:,} of {len(job.digests):,} blobs, for {job.who}"
    elif job.is_stopped:
        told = el("span", f"Stopped after {job.looked_at:,} of {len(job.digests):,} blobs.")
    else:
        seconds = span(max(1.0, job.ended - job.began))
        told = joined(
            el("span", f"{len(job.findings)} damaged", class_="state bad")
            if job.findings
            else el("span", "All is well", class_="state good"),
            f"{counted(len(job.digests), 'blob')}, {amount(job.read)} in {seconds}",
            ago(job.ended),
        )
    return el("p", told)

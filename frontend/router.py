"""From paths to resources.

Falcon's own router cannot hold these paths: a repository's name may have any number of
components, and what follows it says what is meant. So they are read from their end.
"""

from typing import Any

from falcon.routing import CompiledRouter, map_http_methods, set_default_responders

from common.messages import Kind

Found = tuple[object, dict[str, Any], dict[str, str], str]

_NAME = "/v2/{name}"

# Escaped, a slash is no part of a path's structure (RFC 3986, section 2.2). Taken for one here, it
# would carry a request past rules for paths in a proxy.
_SLASH = b"%2f"


class Route:
    """A resource with its methods, as Falcon wants them."""

    def __init__(self, resource: object, template: str) -> None:
        """Find the resource's responders; the others answer 405."""
        self.resource = resource
        self._methods: dict[str, Any] = dict(map_http_methods(resource))
        if "GET" in self._methods and "HEAD" not in self._methods:
            self._methods["HEAD"] = self._methods["GET"]
        set_default_responders(self._methods, asgi=True)
        self._template = template

    def found(self, **params: str) -> Found:
        """What Falcon's router protocol returns."""
        return self.resource, self._methods, params, self._template


class Router(CompiledRouter):
    """The registry's paths (OCI distribution-spec, "Endpoints"), below `prefix`."""

    def __init__(
        self,
        *,
        prefix: str,
        base: object,
        manifests: object,
        blobs: object,
        tags: object,
        referrers: object,
        catalog: object,
        uploads: object,
    ) -> None:
        """Take the resources."""
        super().__init__()
        self._prefix = prefix.rstrip("/")
        self._base = Route(base, "/v2/")
        self._manifests = Route(manifests, f"{_NAME}/manifests/{{reference}}")
        self._blobs = Route(blobs, f"{_NAME}/blobs/{{digest}}")
        self._tags = Route(tags, f"{_NAME}/tags/list")
        self._referrers = Route(referrers, f"{_NAME}/referrers/{{digest}}")
        self._catalog = Route(catalog, "/v2/_catalog")
        self._uploads = Route(uploads, f"{_NAME}/blobs/uploads/")

    def find(self, uri: str, req: Any = None) -> Found | None:
        """The resource for a path; None for 404."""
        if req is not None and _SLASH in req.scope["raw_path"].lower():
            return None
        path = uri.removeprefix(self._prefix) if self._prefix else uri
        if not path.startswith("/v2/"):
            return self._base.found() if path in {"", "/", "/v2"} else None
        if path == "/v2/":
            return self._base.found()
        if path == "/v2/_catalog":
            return self._catalog.found()
        head, _, last = path.rpartition("/")
        name, _, kind = head[4:].rpartition("/")
        return self._by_kind(name, kind, last)

    def content(self, uri: str) -> tuple[Kind, str, str] | None:
        """What kind of content a path asks for, of which repository, and the reference; else None."""
        resource, _methods, params, _template = self.find(uri) or (None, None, {}, None)
        if resource is self._manifests.resource:
            return Kind.MANIFEST, params["name"], params["reference"]
        if resource is self._blobs.resource:
            return Kind.LAYER, params["name"], params["digest"]
        return None

    def _by_kind(self, name: str, kind: str, last: str) -> Found | None:
        if kind == "uploads" and name.endswith("/blobs"):
            return self._uploads.found(name=name.removesuffix("/blobs"))
        if not name or not last:
            return None
        if kind == "blobs":
            return (self._uploads if last == "uploads" else self._blobs).found(
                name=name, **({} if last == "uploads" else {"digest": last})
            )
        if kind == "manifests":
            return self._manifests.found(name=name, reference=last)
        if kind == "referrers":
            return self._referrers.found(name=name, digest=last)
        return self._tags.found(name=name) if (kind, last) == ("tags", "list") else None

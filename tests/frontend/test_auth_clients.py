"""Real clients, over TLS with a private authority, by password and by token."""

from dataclasses import dataclass
from pathlib import Path

import pytest

from common.digest import Digest
from frontend.auth import keys
from tests.frontend.authenticating import (
    ISSUER,
    SERVICE,
    Certified,
    TokenServer,
    certified,
    htpasswd,
    jwk,
    key_set,
    store_image,
    tls,
    write,
)
from tests.frontend.stage import Stage, stage
from tests.parts.clients import PullError, run
from tests.parts.containerd import Containerd
from tests.parts.images import Layout, random_layer


@dataclass
class Skopeo:
    """skopeo that believes one authority, over TLS alone."""

    folder: Path
    authority: Certified

    def pull(self, front: Stage, name: str, credentials: str = "") -> set[str]:
        """What came, by the hex of its digest; raises PullError."""
        write(self.folder / "certs" / "ca.crt", self.authority.pem)
        (self.folder / "auth.json").write_text("{}")
        target = self.folder / "pulled"
        said = ["--src-creds", credentials] if credentials else ["--src-no-creds"]
        run(
            [
                *("skopeo", "copy", "--quiet", "--src-cert-dir", str(self.folder / "certs")),
                *("--src-tls-verify=true", *said, f"docker://127.0.0.1:{front.port}/{name}"),
                f"dir:{target}",
            ],
            {"REGISTRY_AUTH_FILE": str(self.folder / "auth.json")},
        )
        return {path.name for path in target.iterdir()} - {"version", "manifest.json"}


@pytest.fixture
def authority() -> Certified:
    return certified("private CA", authority=True)


@pytest.fixture
def small(tmp_path: Path) -> Layout:
    layout = Layout(tmp_path / "image")
    layout.add_image("1", [random_layer(3_000_000, 5), random_layer(70_000, 6)])
    return layout


@pytest.fixture
def skopeo(tmp_path: Path, authority: Certified) -> Skopeo:
    return Skopeo(tmp_path, authority)


def blobs(image: Layout) -> set[str]:
    return {Digest(blob).hex for blob in image.blobs_of(image.tagged("1"))}


def test_skopeo_pulls_with_a_password(
    tmp_path: Path, authority: Certified, small: Layout, skopeo: Skopeo
) -> None:
    users = htpasswd(tmp_path / "users", {"ci": "pass word"}, cost=10)
    http = {"tls": tls(tmp_path / "tls", authority.issue("mirror"))}
    auth = {"htpasswd": {"realm": "mirror", "path": users}}
    with stage(tmp_path / "root", http=http, auth=auth) as front:
        store_image(front, small, "1", "library/app")
        assert skopeo.pull(front, "library/app:1", "ci:pass word") == blobs(small)
        for credentials in ("ci:wrong", ""):
            with pytest.raises(PullError, match=r"(?i)unauthorized|authentication required"):
                skopeo.pull(front, "library/app:1", credentials)
        skopeo.authority = certified("another", authority=True)
        with pytest.raises(PullError, match="x509"):
            skopeo.pull(front, "library/app:1", "ci:pass word")


def test_skopeo_pulls_with_a_token_for_what_its_user_may_have(
    tmp_path: Path, authority: Certified, small: Layout, skopeo: Skopeo
) -> None:
    signer = certified("tokens")
    with TokenServer(signer.key, "signer", user="ci", password="secret") as server:
        server.allowed.add("library/app")
        token = {
            "realm": server.realm,
            "service": SERVICE,
            "issuer": ISSUER,
            "jwks": key_set(tmp_path / "jwks.json", jwk(signer.key, kid="signer")),
        }
        http = {"tls": tls(tmp_path / "tls", authority.issue("mirror"))}
        with stage(tmp_path / "root", http=http, auth={"token": token}) as front:
            for repository in ("library/app", "library/other"):
                store_image(front, small, "1", repository)
            assert skopeo.pull(front, "library/app:1", "ci:secret") == blobs(small)
            assert server.asked[-1]["service"] == [SERVICE]
            for name, credentials in (
                ("library/other:1", "ci:secret"),
                ("library/absent:1", "ci:secret"),
                ("library/app:1", "ci:wrong"),
                ("library/app:1", ""),
            ):
                with pytest.raises(PullError, match=r"(?i)unauthorized|authentication required"):
                    skopeo.pull(front, name, credentials)


def test_containerd_pulls_through_us_as_a_mirror_with_a_token(
    tmp_path: Path, authority: Certified, small: Layout
) -> None:
    signer = certified("tokens")
    proxy = {"upstreams": [{"name": "ghcr.io", "remoteurl": "http://127.0.0.1:1"}]}
    http = {"tls": tls(tmp_path / "tls", authority.issue("mirror"))}
    with TokenServer(signer.key, "signer", user="ci", password="secret") as server:
        # As it is called through a path prefix: `ns` must open the same, and nothing else.
        server.allowed.add("ghcr.io/org/app")
        token = {
            "realm": server.realm,
            "service": SERVICE,
            "issuer": ISSUER,
            "rootcertbundle": write(tmp_path / "signer.pem", signer.pem),
        }
        server.kid = keys._ids(signer.key.public_key())[0]
        with (
            stage(tmp_path / "root", http=http, auth={"token": token}, proxy=proxy) as front,
            Containerd(tmp_path / "containerd") as containerd,
        ):
            for repository in ("ghcr.io/org/app", "ghcr.io/org/other"):
                store_image(front, small, "1", repository)
            trusted = write(tmp_path / "ca.pem", authority.pem)
            containerd.mirror("ghcr.io", f"https://127.0.0.1:{front.port}", ca=trusted)
            pulled = containerd.pull("ghcr.io/org/app:1", user="ci:secret")
            assert pulled.digest == small.tagged("1")
            with pytest.raises(PullError, match=r"(?i)unauthorized|insufficient|authoriz"):
                containerd.pull("ghcr.io/org/other:1", user="ci:secret")

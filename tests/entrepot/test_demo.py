import os
import signal
import sys
from pathlib import Path

from entrepot.demo.image import LAYER_BYTES, LAYERS, make_image
from tests.entrepot.sessions import members
from tests.parts.process import Process
from tests.waiting import until


def demo(folder: Path, **environment: str) -> Process:
    """`entrepot demo`, with `folder` for everything it puts down."""
    scratch = folder / "scratch"
    scratch.mkdir()
    return Process(
        [sys.executable, "-P", "-m", "entrepot", "demo"],
        log=folder / "demo.log",
        env={"TMPDIR": str(scratch), **environment},
    )


def test_the_demonstration_shows_one_download_and_cleans_up(tmp_path: Path) -> None:
    # Settings made for something else are none of its business, nor of what it starts.
    running = demo(tmp_path, REGISTRY_HTTP_ADDR="127.0.0.1:1", REGISTRY_STORAGE="nonsense")
    until(lambda: running.exit_code is not None, 120, "the demonstration to end")
    assert running.exit_code == 0, running.output()
    assert "1.00 times the image" in running.output()
    assert "the upstream is stopped" in running.output()
    assert "\033" not in running.output()
    assert members(running.pid) == {}
    assert list((tmp_path / "scratch").iterdir()) == []


def test_a_demonstration_that_is_interrupted_cleans_up_too(tmp_path: Path) -> None:
    running = demo(tmp_path)
    until(lambda: "upstream " in running.output(), 30, "the upstream to run")
    os.kill(running.pid, signal.SIGTERM)
    until(lambda: running.exit_code is not None, 60, "the demonstration to end")
    assert running.exit_code == 1
    assert "Traceback" not in running.output()
    assert members(running.pid) == {}
    assert list((tmp_path / "scratch").iterdir()) == []


def test_what_is_missing_is_named_with_its_package(tmp_path: Path) -> None:
    programs = tmp_path / "programs"
    programs.mkdir()
    (programs / "skopeo").symlink_to("/bin/true")
    running = Process(
        ["env", f"PATH={programs}", sys.executable, "-P", "-m", "entrepot", "demo"],
        log=tmp_path / "demo.log",
    )
    until(lambda: running.exit_code is not None, 30, "the demonstration to end")
    assert running.exit_code == 1
    assert "apt-get install docker-registry" in running.output()
    assert "skopeo" not in running.output()


def test_the_image_is_the_same_everywhere(tmp_path: Path) -> None:
    one, two = make_image(tmp_path / "one"), make_image(tmp_path / "two")
    assert one.digest == two.digest
    assert one.size > LAYERS * LAYER_BYTES

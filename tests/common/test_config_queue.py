"""queue.urlfile: the queue's address from a file."""

from pathlib import Path

from tests.common.configuring import MINIMAL, config, problem


def test_the_address_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("amqp://user:secret@host:5672/\n")
    found = config(f"{MINIMAL}queue: {{urlfile: '{tmp_path}/url'}}\n")
    assert found.queue.url == "amqp://user:secret@host:5672/"
    assert "secret" not in repr(found.queue)


def test_a_file_that_cannot_be_used_is_told_without_its_content(tmp_path: Path) -> None:
    assert "queue.urlfile: expected a file" in problem(
        f"{MINIMAL}queue: {{urlfile: '{tmp_path}/none'}}\n"
    )
    (tmp_path / "url").write_text("secret")
    told = problem(f"{MINIMAL}queue: {{urlfile: '{tmp_path}/url'}}\n")
    assert "queue.urlfile: expected amqp://" in told
    assert "secret" not in told


def test_two_addresses_are_one_too_many(tmp_path: Path) -> None:
    (tmp_path / "url").write_text("amqp://host:5672/")
    text = f"{MINIMAL}queue: {{url: 'amqp://host:5672/', urlfile: '{tmp_path}/url'}}\n"
    assert "not both" in problem(text)

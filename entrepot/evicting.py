"""`entrepot evict`: what would go, whether it may, and that it has."""

from common.config import Config
from common.errors import BrokerUnavailable
from common.insight.eviction import Eviction, Plan
from entrepot.asking import agrees, queue_of
from entrepot.failure import Failure
from entrepot.storage import layout_of, repository_named, target


def run(config: Config, text: str, *, yes: bool, dry: bool) -> int:
    """Evict what `text` names; 0, or 1 when it was not agreed to. Raises Failure, Misused."""
    name, reference = target(text)
    repository = repository_named(config, name)
    eviction = Eviction(layout_of(config), config.proxy.upstreams)
    plan = eviction.plan(repository, reference)
    if not plan:
        raise Failure(f"{text}: nothing of it is cached", f"`entrepot ls {name}` lists what is")
    print(_told(plan))
    if dry:
        return 0
    if config.maintenance.readonly.enabled:
        raise Failure("the cache is read-only for maintenance", "see storage.maintenance.readonly")
    if not yes and not agrees("Remove it from the cache?"):
        print("nothing was removed")
        return 1
    _carry_out(config, eviction, plan)
    return 0


def _carry_out(config: Config, eviction: Eviction, plan: Plan) -> None:
    is_told = False
    try:
        with queue_of(config) as broker:
            is_told = eviction.carry_out(plan, broker)
    except BrokerUnavailable:
        eviction.carry_out(plan, None)
    except OSError as error:
        advice = "run it as the user that the cache runs as; what was removed stays so"
        raise Failure(f"{error.filename}: {error.strerror}", advice) from error
    print(
        "removed; blobs that nothing else needs go with the janitor's next work"
        if is_told
        else "removed; the queue does not answer, so blobs go with the janitor's next sweep"
    )


def _told(plan: Plan) -> str:
    lines = [f"of {plan.repository}:"]
    lines += [f"  tag {tag}" for tag in plan.tags[:20]]
    if len(plan.tags) > 20:  # noqa: PLR2004 - a screenful
        lines.append(f"  and {len(plan.tags) - 20} more tags")
    lines.append(f"  {len(plan.manifests)} manifests, {len(plan.layers)} layers")
    return "\n".join(lines)

"""Scopecheck beside what people use instead: the same tokens, the same questions, each proxy by its own best way.

Every contender has one worker or thread, 32 clients keep asking, and the application answers by itself. A round is one run
of each contender, every other round in reverse order; a ratio is that of the runs of one round. Scopecheck is asked as
shipped (10,000 routes, revocation on); what the peers know and check stands in peers/contenders.py.
"""

import contextlib
import dataclasses
import functools

from measuring import intervals
from measuring.contender import HERE, Contender, alternate, compile_program, figures
from measuring.ground import Ground, check
from peers import contenders
from peers.programs import Missing

from daemon import Daemon

from .proxies import proxy_of_haproxy, proxy_of_nginx, revoke

ALGORITHMS = ("RS256", "ES256")
HAPROXY, NGINX = "HAProxy + Scopecheck", "nginx + Scopecheck, http"


@dataclasses.dataclass(frozen=True)
class Peer:
    """`start(settings, ground, requests, name)` makes its contender. `limits`: what Scopecheck's CPU may be of its CPU, by
    algorithm; none for what is only shown. `rivals`: which Scopecheck it is compared with, the cheaper one if several."""

    title: str
    start: object
    limits: dict
    rivals: tuple = (NGINX,)

    def goal(self, algorithm):
        return f"peers {algorithm}: CPU of a question, against {self.title}"


def everywhere(limit):
    return dict.fromkeys(ALGORITHMS, limit)


PEERS = (
    Peer("HAProxy jwt_verify", contenders.haproxy_jwt_verify, {"RS256": 0.6, "ES256": 0.3}, (HAPROXY,)),
    Peer("HAProxy jwt_verify in Scopecheck's configuration", contenders.haproxy_jwt_verify_as_shipped, {}, (HAPROXY,)),
    Peer("Envoy jwt_authn with its cache + RBAC", functools.partial(contenders.envoy, has_cache=True), everywhere(1.0),
         (NGINX, HAPROXY)),
    Peer("Envoy jwt_authn + RBAC", functools.partial(contenders.envoy, has_cache=False), {}, (NGINX, HAPROXY)),
    Peer("nginx njs WebCrypto", contenders.njs, everywhere(0.20)),
    Peer("Traefik ForwardAuth + checker in Go", contenders.traefik, everywhere(0.20)),
    Peer("Caddy forward_auth + checker in Go", contenders.caddy, everywhere(0.20)),
    Peer("Apache mod_oauth2", contenders.apache, everywhere(0.20)),
)


@dataclasses.dataclass
class Entrant:
    """A contender in the race; `wrong_verdicts` says where it answers something else than it must."""

    title: str
    algorithm: str
    contender: Contender
    wrong_verdicts: str = ""


def sizes(settings):
    """(rounds, seconds of each run, connections)"""
    return (2, 0.1, 8) if settings.smoke else (20, 1.0, 32)


def ours(ground, requests):
    """Scopecheck behind HAProxy and behind nginx, each with a daemon of its own."""
    algorithm = ground.key.algorithm
    for title, kind in ((HAPROXY, "spop"), (NGINX, "http")):
        daemon = Daemon(ground, spop=True, flags=["--workers", "1"], name=f"daemon-{kind}")
        revoke(ground, daemon)
        proxy = (proxy_of_haproxy(ground, daemon.spop, "haproxy-ours") if kind == "spop"
                 else proxy_of_nginx(ground, "http", daemon.http, "nginx-ours"))
        contender = Contender(f"{kind} {algorithm}", proxy.address, [proxy.process.pid, daemon.process.pid], requests)
        check(contender, ground)
        yield Entrant(title, algorithm, contender)


def theirs(settings, ground, requests, report):
    """Every peer that can be had; of the others it is said why not."""
    algorithm = ground.key.algorithm
    for number, peer in enumerate(PEERS):
        try:
            contender = peer.start(settings, ground, requests, f"peer-{number}-{algorithm}")
            yield Entrant(peer.title, algorithm, contender, wrong_verdicts(contender, ground))
        except Missing as missing:
            leave_out(peer, algorithm, str(missing), report)
        except (contenders.NotStarted, AssertionError, OSError) as error:
            report.fail(f"{peer.title}, {algorithm}: {error}")
            leave_out(peer, algorithm, str(error), report)


def leave_out(peer, algorithm, why, report):
    print(f"not measured: {peer.title}, {algorithm}: {why}", flush=True)
    if algorithm in peer.limits:
        report.unmeasured(peer.goal(algorithm), peer.limits[algorithm], why)


def wrong_verdicts(contender, ground):
    """What a peer that lets a good token pass answers wrongly, in words."""
    asked = [(what, status, contenders.answer(contender.address, token)) for what, token, status in ground.verdicts()]
    return "; ".join(f"{what}: {got} instead of {wanted}" for what, wanted, got in asked if got != wanted)


def peers(settings, report):
    entrants = []
    with contextlib.ExitStack() as ends:
        for algorithm in ALGORITHMS:
            ground = ends.enter_context(Ground(200 if settings.smoke else 10_000, algorithm))
            load = compile_program(ground.folder, HERE / "load.c")
            requests = ground.requests(100 if settings.smoke else 2_000)
            entrants += ours(ground, requests)
            entrants += theirs(settings, ground, requests, report)
        race(settings, entrants, load)
    judge(entrants, report)


def race(settings, entrants, load):
    rounds, seconds, connections = sizes(settings)
    runs = alternate([entrant.contender for entrant in entrants], load, rounds, seconds, connections)
    for entrant in entrants:
        entrant.contender.runs = runs[entrant.contender.name]


def judge(entrants, report):
    """A line for each, and the ratio of Scopecheck's CPU to that of each peer, over the rounds: a goal where it has a limit."""
    peers_by_title = {peer.title: peer for peer in PEERS}
    by_name = {(entrant.title, entrant.algorithm): entrant.contender for entrant in entrants}
    for entrant in entrants:
        more = {"wrong_verdicts": entrant.wrong_verdicts} if entrant.wrong_verdicts else {}
        if peer := peers_by_title.get(entrant.title):
            rivals = {title: by_name[title, entrant.algorithm] for title in peer.rivals}
            title = min(rivals, key=lambda each: figures(rivals[each])["cpu_us_per_request"])
            mean, low, high = intervals.ratio([(one["cpu_us"], other["cpu_us"]) for one, other in zip(
                rivals[title].runs, entrant.contender.runs)])
            more |= dict(beside=title, scopecheck_times=mean, scopecheck_times_low=low, scopecheck_times_high=high)
            if limit := peer.limits.get(entrant.algorithm):
                report.goal(peer.goal(entrant.algorithm), mean, limit, low, high)
        report.result(entrant.title, f"peers, {entrant.algorithm} token seen before", **figures(entrant.contender), **more)

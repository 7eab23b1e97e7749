"""Two workers against one, end to end: nginx and Scopecheck over HTTP.

Both processors are taken by the generator, nginx and the daemon, so requests per second cannot double here. What can be
shown is that a question costs no more CPU with two workers of each than with one: nothing is shared that they would
wait for. Beyond two, ARCHITECTURE.md says what that implies.
"""

from measuring.contender import HERE, Contender, compare, compile_program, figures
from measuring.ground import Ground, check

from daemon import Daemon

from .proxies import proxy_of_nginx, revoke, sizes


def workers(settings, report):
    pairs, seconds, connections = sizes(settings)
    with Ground(200 if settings.smoke else 10_000) as ground:
        load = compile_program(ground.folder, HERE / "load.c")
        requests = ground.requests(100 if settings.smoke else 2_000)
        contenders = []
        for count in (2, 1):
            daemon = Daemon(ground, name=f"daemon-{count}", flags=["--workers", str(count)])
            revoke(ground, daemon)
            proxy = proxy_of_nginx(ground, "http", daemon.http, f"nginx-{count}", processes=count)
            contenders.append(Contender(f"nginx + Scopecheck, {count} worker{'s'[:count - 1]} of each", proxy.address,
                                        [proxy.process.pid, daemon.process.pid], requests))
            check(contenders[-1], ground)
        mean, low, high = compare(*contenders, load, pairs, seconds, connections)
        report.goal("end to end: CPU of a question with two workers, against one", mean, 1.10, low, high)
        for each in contenders:
            report.result(each.name, "workers, nginx http", **figures(each))

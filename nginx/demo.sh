#!/usr/bin/env bash
# Shows Scopecheck at work behind nginx: builds it, makes a demo issuer and a policy, starts both on free
# unprivileged ports, sends real requests over FastCGI and over HTTP, and says why each was allowed or denied.
#
#     nginx/demo.sh          keeps running until Ctrl-C, for requests of your own
#     nginx/demo.sh --once   ends by itself; exit status 0 when every request came out as shown
#
# Needs Debian 12 (or a relative) and Swift 6.3. Missing Debian packages are installed with apt-get. Everything
# else happens in .build and in one temporary folder.
set -euo pipefail

once=no
case "${1-}" in
    "") ;;
    --once) once=yes ;;
    -h | --help) sed -n '2,9s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "demo.sh: unknown argument \`$1\`; the only one is \`--once\`" >&2; exit 2 ;;
esac

root=$(cd "$(dirname "$0")/.." && pwd)
# The servers' folder is not on everybody's PATH.
PATH=$PATH:/usr/sbin:/sbin
if [ -t 1 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m') green=$(printf '\033[32m') red=$(printf '\033[31m')
else bold="" plain="" green="" red=""; fi
say() { printf '%s\n' "$bold$*$plain"; }
fail() { printf 'demo.sh: %s\n' "$*" >&2; exit 1; }

# --- what it needs -------------------------------------------------------------------------------------------

"$root/Tests/install.sh" libfcgi-dev libssl-dev liblmdb-dev pkg-config nginx:nginx-light curl ca-certificates
command -v swift >/dev/null || [ -n "${SCOPECHECK_BINARY-}" ] ||
    fail "swift was not found; install Swift 6.3 (https://www.swift.org/install) and put it on PATH"
nginx -V 2>&1 | grep -q http_auth_request_module || fail "this nginx was built without http_auth_request_module"

work=$(mktemp -d "${TMPDIR:-/tmp}/scopecheck-demo.XXXXXX")
pids=()
end() {
    trap - EXIT INT TERM
    for pid in ${pids[@]+"${pids[@]}"}; do kill "$pid" 2>/dev/null || true; done
    for pid in ${pids[@]+"${pids[@]}"}; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# --- the binary ----------------------------------------------------------------------------------------------

if [ -n "${SCOPECHECK_BINARY-}" ]; then
    scopecheck=$SCOPECHECK_BINARY
else
    say "building scopecheck (the first time takes some minutes)"
    if [ -t 1 ]; then
        swift build --package-path "$root" -c release --product scopecheck --static-swift-stdlib
    elif ! swift build --package-path "$root" -c release --product scopecheck --static-swift-stdlib >"$work/build.log" 2>&1; then
        tail -n 40 "$work/build.log" >&2
        fail "the build failed; its last lines stand above"
    fi
    scopecheck=$root/.build/release/scopecheck
fi

# --- issuer, policy, tokens ----------------------------------------------------------------------------------

"$scopecheck" keys generate --algorithm ES256 --kid demo --output "$work/issuer" >/dev/null

cat >"$work/policy.yaml" <<'POLICY'
scopecheck: 1
issuers:
  - issuer: https://id.example.com
    audience: [https://api.example.com]
    keys: { jwks_file: issuer/jwks.json }
    algorithms: [ES256]
    profile: rfc9068
scopes:
  orders:read:  { description: Read orders }
  orders:write: { description: Create and change orders, implies: [orders:read] }
  orders:admin: { implies: ["orders:*"] }
services:
  orders:
    issuers: [https://id.example.com]
    audience: https://api.example.com
    hosts: [api.example.com]
    base_path: /v1
    routes:
      - { match: GET /orders, scopes: orders:read }
      - { match: "GET /orders/{order}", scopes: orders:read }
      - { match: POST /orders, scopes: orders:write }
      - { match: "DELETE /orders/{order}", scopes: orders:admin }
      - { match: "GET /users/{user}/orders", scopes: orders:read, where: { user: sub } }
      - { match: OPTIONS /**, preflight: true }
      - { match: GET /healthz, public: true }
POLICY
"$scopecheck" policy check "$work/policy.yaml" >/dev/null

now=$(date +%s)
# mint NAME SUBJECT SCOPES SECONDS-UNTIL-EXPIRY
mint() {
    "$scopecheck" token mint --key "$work/issuer/private.jwk" --claims "{
        \"iss\": \"https://id.example.com\", \"aud\": \"https://api.example.com\", \"sub\": \"$2\",
        \"client_id\": \"demo\", \"iat\": $((now - 600)), \"exp\": $((now + $4)), \"jti\": \"$1\",
        \"scope\": \"$3\" }" >"$work/$1.token"
}
mint reader alice "orders:read" 86400
mint writer alice "orders:write" 86400
mint admin carol "orders:admin" 86400
mint expired alice "orders:read" -60
# The reader's token with the last signature bits changed.
reader=$(cat "$work/reader.token")
last=${reader: -6}
[ "$last" = AAAAAA ] && last=BBBBBB || last=AAAAAA
printf '%s%s\n' "${reader%??????}" "$last" >"$work/forged.token"

# --- nginx and scopecheck ------------------------------------------------------------------------------------

# A port of 127.0.0.1 on which nobody listens.
free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 20000))
        case " ${ports-} " in *" $port "*) continue ;; esac
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}
ports=""
fastcgi_port=$(free_port); ports="$ports $fastcgi_port"
http_port=$(free_port); ports="$ports $http_port"

directives="daemon off;"
# Workers of a master that runs as root would be another user, who may not ask.
[ "$(id -u)" = 0 ] && directives="$directives user root;"
for kind in fastcgi http; do
    application_port=$(free_port); ports="$ports $application_port"
    listen_port=${kind}_port
    mkdir "$work/$kind"
    cp "$root"/nginx/*.conf "$work/$kind/"
    sed -e "s/listen 8080;/listen 127.0.0.1:${!listen_port};/" -e "s/127\.0\.0\.1:8081/127.0.0.1:$application_port/" \
        -e "s/worker_processes auto;/worker_processes 1;/" \
        "$root/nginx/scopecheck-$kind.conf" >"$work/$kind/scopecheck-$kind.conf"
done
"$scopecheck" serve --policy "$work/policy.yaml" --store "$work/store" --workers 2 \
    --fastcgi "unix:$work/fastcgi/scopecheck-fastcgi.sock" --http "unix:$work/http/scopecheck-http.sock" \
    --admin "unix:$work/admin.sock" 2>"$work/scopecheck.log" &
pids+=($!)
for kind in fastcgi http; do
    (cd "$work/$kind" && exec nginx -e error.log -p "$PWD/" -c "$PWD/scopecheck-$kind.conf" -g "$directives") &
    pids+=($!)
done

wait_for() {
    local tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ $tries -gt 200 ]; then
            tail -n 20 "$work/scopecheck.log" "$work"/*/error.log >&2 || true
            fail "gave up waiting for \`$*\`; the logs stand above"
        fi
        sleep 0.1
    done
}
wait_for "$scopecheck" health --address "unix:$work/fastcgi/scopecheck-fastcgi.sock"
wait_for "$scopecheck" health --address "unix:$work/http/scopecheck-http.sock"
wait_for curl -s -o /dev/null "http://127.0.0.1:$fastcgi_port/"
wait_for curl -s -o /dev/null "http://127.0.0.1:$http_port/"

# --- requests ------------------------------------------------------------------------------------------------

lines() { wc -l <"$1/access.log"; }

# ask KIND METHOD TARGET TOKEN [CURL-ARGUMENT…]: sets `status` and `reason`, the latter from nginx's own log
ask() {
    local kind=$1 method=$2 target=$3 token=$4 port=${1}_port before
    shift 4
    [ "$token" = - ] || set -- "$@" -H "Authorization: Bearer $(cat "$work/$token.token")"
    before=$(lines "$work/$kind")
    status=$(curl -s -o "$work/body" -D "$work/head" -w '%{http_code}' --path-as-is -X "$method" \
        -H "Host: ${host-api.example.com}" "$@" "http://127.0.0.1:${!port}$target") || status=000
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        [ "$(lines "$work/$kind")" -gt "$before" ] && break
        sleep 0.05
    done
    reason=$(tail -n 1 "$work/$kind/access.log" | sed -n 's/.*"reason":"\([^"]*\)".*/\1/p')
}

wrong=0
# show STATUS REASON METHOD TARGET TOKEN [CURL-ARGUMENT…]
show() {
    local want_status=$1 want_reason=$2 seen="" mark="$green✓$plain"
    shift 2
    for kind in fastcgi http; do
        ask "$kind" "$@"
        seen="$seen $status"
        if [ "$status" != "$want_status" ] || [ "$reason" != "$want_reason" ]; then
            mark="$red✗ expected $want_status $want_reason$plain"
            wrong=$((wrong + 1))
        fi
    done
    # shellcheck disable=SC2086  # two columns from one word list
    printf '%-8s%-26s%-9s%7s%7s  %-24s%s\n' "$1" "$2" "${label-$3}" $seen "$reason" "$mark"
}

echo
say "requests through nginx, each over FastCGI and over HTTP"
printf '%s%-8s%-26s%-9s%7s%7s  %-24s%s\n' "$bold" method target token FastCGI HTTP reason "$plain"
show 200 public              GET    /v1/healthz               -
show 401 no_token            GET    /v1/orders                -
show 200 granted             GET    "/v1/orders?page=2"       reader
show 200 granted             GET    /v1/orders/7              writer
show 403 insufficient_scope  POST   /v1/orders                reader -d '{}'
show 200 granted             POST   /v1/orders                writer -d '{}'
show 403 insufficient_scope  DELETE /v1/orders/7              writer
show 200 granted             DELETE /v1/orders/7              admin
show 200 granted             GET    /v1/users/alice/orders    reader
show 403 binding_mismatch    GET    /v1/users/bob/orders      reader
show 401 expired             GET    /v1/orders                expired
show 401 signature_invalid   GET    /v1/orders                forged
label="two" \
    show 400 malformed_authorization GET /v1/orders           - -H "Authorization: Bearer a, Bearer b"
show 403 method_not_allowed  PATCH  /v1/orders                admin
show 403 unknown_route       GET    /admin                    admin
host=other.example.com \
    show 403 unknown_host    GET    /v1/orders                admin
show 403 ambiguous_target    GET    /v1/orders/%2e%2e/healthz admin
show 403 ambiguous_target    GET    /v1/orders/..%2f..%2f     admin
show 200 preflight           OPTIONS /v1/orders               - -H "Origin: https://app.example.com" -H "Access-Control-Request-Method: POST"

echo
say "what the client sees of a denial (POST /v1/orders with the reader's token)"
ask http POST /v1/orders reader -d '{}'
grep -iE '^(HTTP|WWW-Authenticate|X-Scope)' "$work/head" | tr -d '\r'
cat "$work/body"
echo
say "what the application sees of an allow (GET /v1/orders with the writer's token)"
ask fastcgi GET /v1/orders writer
cat "$work/body"

echo
if [ $wrong -gt 0 ]; then
    printf '%s\n' "$red$wrong answers were not as expected; scopecheck's log:$plain"
    tail -n 20 "$work/scopecheck.log"
else
    say "every answer was as expected"
fi
if [ $once = yes ]; then
    [ $wrong -eq 0 ]
    exit
fi

cat <<TEXT

${bold}your turn$plain
  curl -i -H 'Host: api.example.com' -H "Authorization: Bearer \$(cat $work/reader.token)" http://127.0.0.1:$http_port/v1/orders
  tokens    $work/{reader,writer,admin,expired,forged}.token
  policy    $work/policy.yaml    (rename a new one over it, and it is served)
  why       $scopecheck explain --address unix:$work/admin.sock --method GET --target /v1/orders --host api.example.com --token-file $work/reader.token
  logs      $work/http/access.log, $work/scopecheck.log

running until Ctrl-C
TEXT
wait

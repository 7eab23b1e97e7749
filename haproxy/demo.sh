#!/usr/bin/env bash
# Shows Scopecheck at work behind HAProxy: builds it, makes a demo issuer, client certificates and a policy, starts
# HAProxy with two agents on free unprivileged ports, sends real requests, opens and closes a TCP port by certificate,
# says why each was allowed or denied, and ends the agents one after the other.
#
#     haproxy/demo.sh          keeps running until Ctrl-C, for requests of your own
#     haproxy/demo.sh --once   ends by itself; exit status 0 when everything came out as shown
#
# Needs Debian 12 (or a relative) and Swift 6.3. Missing Debian packages are installed with apt-get. Everything else
# happens in .build and in one temporary folder.
set -euo pipefail

once=no
case "${1-}" in
    "") ;;
    --once) once=yes ;;
    -h | --help) sed -n '2,10s/^# \{0,1\}//p' "$0"; exit 0 ;;
    *) echo "demo.sh: unknown argument \`$1\`; the only one is \`--once\`" >&2; exit 2 ;;
esac

root=$(cd "$(dirname "$0")/.." && pwd)
# The servers' folder is not on everybody's PATH.
PATH=$PATH:/usr/sbin:/sbin
if [ -t 1 ]; then bold=$(printf '\033[1m') plain=$(printf '\033[0m') green=$(printf '\033[32m') red=$(printf '\033[31m')
else bold="" plain="" green="" red=""; fi
say() { printf '%s\n' "$bold$*$plain"; }
fail() { printf 'demo.sh: %s\n' "$*" >&2; exit 1; }

# --- what it needs ---------------------------------------------------------------------------------------------------

"$root/Tests/install.sh" libfcgi-dev libssl-dev liblmdb-dev pkg-config haproxy curl openssl ca-certificates
command -v swift >/dev/null || [ -n "${SCOPECHECK_BINARY-}" ] ||
    fail "swift was not found; install Swift 6.3 (https://www.swift.org/install) and put it on PATH"

work=$(mktemp -d "${TMPDIR:-/tmp}/scopecheck-demo.XXXXXX")
pids=() agents=()
end() {
    trap - EXIT INT TERM
    for pid in ${pids[@]+"${pids[@]}"}; do kill "$pid" 2>/dev/null || true; done
    # Nobody asks them any more, so there is nothing to drain.
    for pid in ${agents[@]+"${agents[@]}"}; do kill -KILL "$pid" 2>/dev/null || true; done
    for pid in ${pids[@]+"${pids[@]}"} ${agents[@]+"${agents[@]}"}; do wait "$pid" 2>/dev/null || true; done
    rm -rf "$work"
}
trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

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

# --- ports, certificates, policy, tokens -----------------------------------------------------------------------------

# A port of 127.0.0.1 on which nobody listens.
free_port() {
    local port
    while :; do
        port=$((20000 + RANDOM % 12000))
        case " ${ports-} " in *" $port "*) continue ;; esac
        (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}
ports=""
for name in http https tcp application metrics; do
    declare "${name}_port=$(free_port)"
    listen_port=${name}_port
    ports="$ports ${!listen_port}"
done

key=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
quietly() { "$@" >"$work/openssl.log" 2>&1 || { cat "$work/openssl.log" >&2; fail "\`$1 $2\` failed"; }; }
cd "$work"
quietly openssl req -x509 "${key[@]}" -days 2 -subj /CN=api.example.com -addext subjectAltName=DNS:api.example.com \
    -keyout server.key -out server.crt
cat server.key server.crt >server.pem
for authority in client-ca other-ca; do
    quietly openssl req -x509 "${key[@]}" -days 2 -subj "/CN=$authority" -keyout $authority.key -out $authority.pem
done
# certificate NAME URI AUTHORITY DAYS
certificate() {
    quietly openssl req -new "${key[@]}" -subj "/CN=$1" -keyout "$1.key" -out "$1.csr"
    printf 'subjectAltName=URI:%s\nextendedKeyUsage=clientAuth\n' "$2" >extensions
    quietly openssl x509 -req -in "$1.csr" -CA "$3.pem" -CAkey "$3.key" -CAcreateserial -days "$4" \
        -extfile extensions -out "$1.crt"
    cat "$1.key" "$1.crt" >"$1.pem"
}
certificate operator spiffe://example.org/operator              client-ca 2
certificate scraper  spiffe://example.org/monitoring/prometheus client-ca 2
certificate stranger spiffe://example.org/stranger              client-ca 2
certificate late     spiffe://example.org/operator              client-ca -1
certificate alien    spiffe://example.org/operator              other-ca  2

"$scopecheck" keys generate --algorithm ES256 --kid demo --output "$work/issuer" >/dev/null
cat >policy.yaml <<POLICY
scopecheck: 1
issuers:
  - issuer: https://id.example.com
    audience: [https://api.example.com]
    keys: { jwks_file: issuer/jwks.json }
    algorithms: [ES256]
    profile: rfc9068
scopes:
  orders:read:   { description: Read orders }
  orders:write:  { description: Create and change orders, implies: [orders:read] }
  metrics:read:  { description: Read metrics }
  metrics:admin: { description: Change what is measured, implies: [metrics:read] }
services:
  orders:
    audience: https://api.example.com
    hosts: [api.example.com]
    base_path: /v1
    routes:
      - { match: GET /orders, scopes: orders:read }
      - { match: "GET /orders/{order}", scopes: orders:read }
      - { match: POST /orders, scopes: orders:write }
      - { match: GET /metrics, scopes: metrics:read }
      - { match: OPTIONS /**, preflight: true }
      - { match: GET /healthz, public: true }
  metrics-admin:
    kind: tcp
    ports: [$tcp_port]
    scopes: metrics:admin
clients:
  operator:
    certificate: { uri: "spiffe://example.org/operator" }
    scopes: [metrics:admin]
  scraper:
    certificate: { uri: "spiffe://example.org/monitoring/prometheus" }
    scopes: [metrics:read]
POLICY
"$scopecheck" policy check policy.yaml >check.log 2>&1 || { cat check.log >&2; fail "the demo's policy was refused"; }

now=$(date +%s)
# mint NAME SUBJECT SCOPES SECONDS-UNTIL-EXPIRY
mint() {
    "$scopecheck" token mint --key issuer/private.jwk --claims "{
        \"iss\": \"https://id.example.com\", \"aud\": \"https://api.example.com\", \"sub\": \"$2\",
        \"client_id\": \"demo\", \"iat\": $((now - 600)), \"exp\": $((now + $4)), \"jti\": \"$1\",
        \"scope\": \"$3\" }" >"$1.token"
}
mint reader alice "orders:read" 86400
mint writer alice "orders:write" 86400
mint expired alice "orders:read" -60

# --- haproxy and two agents ------------------------------------------------------------------------------------------

cp "$root"/haproxy/*.cfg "$root"/haproxy/*.conf .
sed -e "s/bind :8080/bind 127.0.0.1:$http_port/" -e "s/bind :8443 /bind 127.0.0.1:$https_port /" \
    -e "s/bind :9443 /bind 127.0.0.1:$tcp_port /" -e "s/127\.0\.0\.1:8081/127.0.0.1:$application_port/" \
    -e "s/127\.0\.0\.1:9090/127.0.0.1:$metrics_port/" "$root/haproxy/haproxy.cfg" >haproxy.cfg
# start_agent NUMBER
start_agent() {
    rm -f "scopecheck-spop-$1.sock"
    "$scopecheck" serve --policy policy.yaml --store "store-$1" --workers 1 --spop "unix:scopecheck-spop-$1.sock" \
        --admin "unix:admin-$1.sock" 2>>"scopecheck-$1.log" &
    agents[$1]=$!
}
# end_agent NUMBER
end_agent() {
    kill "${agents[$1]}"
    wait "${agents[$1]}" || true
    unset "agents[$1]"
}
start_agent 1
start_agent 2
haproxy -db -f haproxy.cfg -f agents-spop-check.cfg 2>haproxy.log &
pids+=($!)

api=(curl -s --path-as-is -H "Host: api.example.com")
wait_for() {
    local tries=0
    until "$@" >/dev/null 2>&1; do
        tries=$((tries + 1))
        if [ $tries -gt 200 ]; then
            tail -n 20 scopecheck-*.log haproxy.log >&2 || true
            fail "gave up waiting for \`$*\`; the logs stand above"
        fi
        sleep 0.1
    done
}
wait_for "$scopecheck" health --address "unix:admin-1.sock"
wait_for "$scopecheck" health --address "unix:admin-2.sock"
wait_for "${api[@]}" -f "http://127.0.0.1:$http_port/v1/healthz"

# --- requests --------------------------------------------------------------------------------------------------------

# Sets `reason` to that of the connection from a port of ours, out of HAProxy's log.
find_reason() {
    local tries=0 line=""
    until line=$(grep "\"client_port\":\"$1\"" haproxy.log | tail -n 1) && [ -n "$line" ]; do
        tries=$((tries + 1))
        [ $tries -lt 100 ] || break
        sleep 0.05
    done
    reason=$(sed -n 's/.*"reason":"\([^"]*\)".*/\1/p' <<<"$line")
}

wrong=0
# judge WANTED-RESULT RESULT WANTED-REASON REASON: sets `mark`
judge() {
    mark="$green✓$plain"
    if [ "$1 $3" != "$2 $4" ]; then
        mark="$red✗ expected $1 $3$plain"
        wrong=$((wrong + 1))
    fi
}

# show STATUS REASON METHOD TARGET TOKEN [CURL-ARGUMENT…]
show() {
    local want_status=$1 want_reason=$2 method=$3 target=$4 token=$5 status port reason
    shift 5
    [ "$token" = - ] || set -- "$@" -H "Authorization: Bearer $(cat "$token.token")"
    read -r status port < <("${api[@]}" -o body -w '%{http_code} %{local_port}\n' -X "$method" "$@" \
        "${base-http://127.0.0.1:$http_port}$target")
    find_reason "$port"
    judge "$want_status" "$status" "$want_reason" "$reason"
    printf '%-8s%-26s%-9s%5s  %-24s%s\n' "$method" "$target" "${label-$token}" "$status" "$reason" "$mark"
}

echo
say "requests through HAProxy"
printf '%s%-8s%-26s%-9s%5s  %-24s%s\n' "$bold" method target token "" reason "$plain"
show 200 public                  GET     /v1/healthz               -
show 401 no_token                GET     /v1/orders                -
show 200 granted                 GET     "/v1/orders?page=2"       reader
show 403 insufficient_scope      POST    /v1/orders                reader -d '{}'
show 200 granted                 POST    /v1/orders                writer -d '{}'
show 401 expired                 GET     /v1/orders                expired
label="two" \
    show 400 malformed_authorization GET /v1/orders                -      -H "Authorization: Bearer a, Bearer b"
show 403 method_not_allowed      PATCH   /v1/orders                writer
show 403 unknown_route           GET     /admin                    writer
show 403 ambiguous_target        GET     /v1/orders/%2e%2e/healthz writer
show 200 preflight               OPTIONS /v1/orders                - \
    -H "Origin: https://app.example.com" -H "Access-Control-Request-Method: POST"
label="h2, TLS" base=https://127.0.0.1:$https_port \
    show 200 granted             GET     /v1/orders/7              reader -k --http2

echo
say "what the client sees of a denial (POST /v1/orders with the reader's token)"
"${api[@]}" -o body -D head -d '{}' -H "Authorization: Bearer $(cat reader.token)" \
    "http://127.0.0.1:$http_port/v1/orders"
grep -iE '^(HTTP|WWW-Authenticate|X-Scope)' head | tr -d '\r'
cat body
echo
say "what the application sees of an allow, when the client claims to be the root user"
"${api[@]}" -H "Authorization: Bearer $(cat writer.token)" -H "X-Scope-Subject: root" -H "X_Scope_Subject: root" \
    "http://127.0.0.1:$http_port/v1/orders"

# connect RESULT REASON WHO DESCRIPTION
connect() {
    local result=closed port reason certificate=()
    [ "$3" = - ] || certificate=(--cert "$3.pem")
    if curl -sk -o body -w '%{local_port}' ${certificate[@]+"${certificate[@]}"} "https://127.0.0.1:$tcp_port/" >port
    then result=open; fi
    port=$(cat port)
    find_reason "$port"
    judge "$1" "$result" "$2" "$reason"
    printf '%-34s%8s  %-25s%s\n' "$4" "$result" "$reason" "$mark"
}

echo
say "a port without HTTP, for clients that hold metrics:admin"
printf '%s%-34s%8s  %-25s%s\n' "$bold" certificate port reason "$plain"
connect open   granted                  operator "of the operator (metrics:admin)"
connect closed insufficient_scope       scraper  "of the scraper (metrics:read)"
connect closed unknown_certificate      stranger "of nobody in the policy"
connect closed certificate_not_verified late     "of the operator, expired"
connect closed certificate_not_verified alien    "of the operator, another CA"
connect closed no_certificate           -        "none"

echo
say "agents that end (GET /v1/orders with the reader's token)"
end_agent 1
label="one left" show 200 granted GET /v1/orders reader
end_agent 2
label="none left" show 503 - GET /v1/orders reader
connect closed - operator "of the operator, no agent left"

echo
if [ $wrong -gt 0 ]; then
    printf '%s\n' "$red$wrong answers were not as expected; the logs:$plain"
    tail -n 20 scopecheck-*.log
    grep -v '^{' haproxy.log | tail -n 10 || true
else
    say "every answer was as expected"
fi
if [ $once = yes ]; then
    [ $wrong -eq 0 ]
    exit
fi

start_agent 1
start_agent 2
cat <<TEXT

${bold}your turn$plain (the agents are started again)
  curl -i -H 'Host: api.example.com' -H "Authorization: Bearer \$(cat $work/reader.token)" http://127.0.0.1:$http_port/v1/orders
  curl -ik --cert $work/operator.pem https://127.0.0.1:$tcp_port/
  tokens        $work/{reader,writer,expired}.token
  certificates  $work/{operator,scraper,stranger,late,alien}.pem
  policy        $work/policy.yaml    (rename a new one over it, and it is served)
  logs          $work/haproxy.log, $work/scopecheck-{1,2}.log

running until Ctrl-C
TEXT
wait

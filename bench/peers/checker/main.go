// A checker as one writes it with Go's standard library, to stand behind Traefik's ForwardAuth and Caddy's forward_auth:
//
//	checker -listen ADDRESS -jwks FILE -routes FILE -issuer ISSUER -audience AUDIENCE
//
// It answers 200, 401 or 403. ADDRESS is HOST:PORT or unix:PATH. ROUTES has a line `METHOD HOST PATH SCOPE` for each
// route, where a segment `{name}` of the path stands for any one segment. Every token is verified each time, as the usual
// libraries do.
package main

import (
	"bufio"
	"flag"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

type checker struct {
	keys             keySet
	routes           *routes
	issuer, audience string
}

func (checker *checker) ServeHTTP(writer http.ResponseWriter, request *http.Request) {
	writer.WriteHeader(checker.status(request))
}

func (checker *checker) status(request *http.Request) int {
	header := request.Header
	path, _, _ := strings.Cut(header.Get("X-Forwarded-Uri"), "?")
	required, found := checker.routes.scope(header.Get("X-Forwarded-Method"), header.Get("X-Forwarded-Host"), path)
	if !found {
		return http.StatusForbidden
	}
	scheme, token, _ := strings.Cut(header.Get("Authorization"), " ")
	if !strings.EqualFold(scheme, "Bearer") {
		return http.StatusUnauthorized
	}
	claims, err := checker.keys.verify(token)
	if err != nil || claims.Issuer != checker.issuer || !claims.Audience.contains(checker.audience) ||
		!claims.validAt(time.Now()) {
		return http.StatusUnauthorized
	}
	for _, scope := range strings.Fields(claims.Scope) {
		if scope == required {
			return http.StatusOK
		}
	}
	return http.StatusForbidden
}

func main() {
	listen := flag.String("listen", "", "HOST:PORT or unix:PATH")
	jwks := flag.String("jwks", "", "file with a JWK set")
	routesFile := flag.String("routes", "", "file with the routes")
	issuer := flag.String("issuer", "", "the only issuer")
	audience := flag.String("audience", "", "the audience that a token must have")
	flag.Parse()
	keys, err := readKeys(*jwks)
	if err != nil {
		log.Fatal(err)
	}
	routes, err := readRoutes(*routesFile)
	if err != nil {
		log.Fatal(err)
	}
	network, address := "tcp", *listen
	if path := strings.TrimPrefix(address, "unix:"); path != address {
		network, address = "unix", path
	}
	listener, err := net.Listen(network, address)
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(http.Serve(listener, &checker{keys, routes, *issuer, *audience}))
}

// A tree of path segments for each method and host.
type routes struct {
	roots map[string]*segment
}

type segment struct {
	literals map[string]*segment
	any      *segment
	scope    string
}

func readRoutes(path string) (*routes, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	routes := &routes{map[string]*segment{}}
	lines := bufio.NewScanner(file)
	for lines.Scan() {
		if words := strings.Fields(lines.Text()); len(words) == 4 {
			routes.add(words[0], words[1], words[2], words[3])
		}
	}
	return routes, lines.Err()
}

func (routes *routes) add(method, host, path, scope string) {
	root := method + " " + host
	if routes.roots[root] == nil {
		routes.roots[root] = &segment{literals: map[string]*segment{}}
	}
	place := routes.roots[root]
	for _, text := range strings.Split(path[1:], "/") {
		next := place.literals[text]
		if text[0] == '{' {
			next = place.any
		}
		if next == nil {
			next = &segment{literals: map[string]*segment{}}
			if text[0] == '{' {
				place.any = next
			} else {
				place.literals[text] = next
			}
		}
		place = next
	}
	place.scope = scope
}

func (routes *routes) scope(method, host, path string) (string, bool) {
	place := routes.roots[method+" "+host]
	if place == nil || !strings.HasPrefix(path, "/") {
		return "", false
	}
	for rest, more := path[1:], true; more; {
		var text string
		text, rest, more = strings.Cut(rest, "/")
		next := place.literals[text]
		if next == nil {
			next = place.any
		}
		if next == nil {
			return "", false
		}
		place = next
	}
	return place.scope, place.scope != ""
}

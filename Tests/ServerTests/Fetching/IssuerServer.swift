import Glibc
import Kernel
import Synchronization
import Testing

@testable import Server

/// An HTTPS and an HTTP server on loopback ports that answers GET and POST by path, in every way an issuer may go
/// wrong, and keeps what it was asked.
///
/// `/answer…` and `/held…` (once the file `release` is there) answer with the files `status`, `type` and `body`;
/// without `type` there is no content type. `/list/NAME` answers with the file `list_NAME`.
final class IssuerServer: Sendable {
    let folder = TemporaryFolder()
    let securePort: Int
    let plainPort: Int

    var secure: String { "https://localhost:\(securePort)" }
    var plain: String { "http://127.0.0.1:\(plainPort)" }
    var authorityFile: String { folder.file("cert.pem") }

    /// - Parameter knowsClients: makes `client-cert.pem` and `next-cert.pem` with their keys, and takes them.
    init(knowsClients: Bool = false) throws {
        try folder.write("server.py", script)
        let clients = knowsClients ? [("client-", "orders-gateway"), ("next-", "orders-gateway-2")] : []
        for (name, subject) in [("", "localhost")] + clients {
            let certificate = folder.file("\(name)cert.pem")
            shell(
                "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=\(subject)"
                    + " -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout '\(folder.file("\(name)key.pem"))'"
                    + " -out '\(certificate)' 2>/dev/null")
        }
        if knowsClients { shell("cd '\(folder.path)' && cat client-cert.pem next-cert.pem >client-ca.pem") }
        shell("cd '\(folder.path)' && exec python3 server.py >server.log 2>&1 &")
        let folder = folder
        for _ in 0..<3_000 where !folder.read("ports").hasSuffix("\n") { usleep(10_000) }
        let ports = folder.read("ports").split(separator: "\n").compactMap { Int($0) }
        guard ports.count == 2 else { throw SystemError(code: 0, call: "server.py", detail: folder.read("server.log")) }
        (securePort, plainPort) = (ports[0], ports[1])
        try answer("{}")
    }

    deinit {
        // The server ends when the file is there.
        try? folder.write("stop", "")
        for _ in 0..<3_000 where folder.read("stopped").isEmpty { usleep(10_000) }
    }

    func answer(_ body: String, type: String? = "application/json", status: Int = 200) throws {
        try folder.write("status", "\(status)")
        try folder.write("body", body)
        if let type { try folder.write("type", type) } else { try Files.remove(folder.file("type")) }
    }

    func release() throws { try folder.write("release", "") }

    /// Every request in order: the request line, the headers with names in lower case, `peer: NAME` for a certificate,
    /// an empty line, the body.
    var requests: [String] {
        folder.read("requests").split(separator: "\u{1E}", omittingEmptySubsequences: true).map(String.init)
    }

    /// How often a path was asked for.
    func hits(_ path: String) -> Int { folder.read("hits").split(separator: "\n").count { $0 == path } }

    /// The most requests that were being answered at once.
    var peak: Int { Int(folder.read("peak")) ?? 0 }
}

extension String {
    /// Of a request that `IssuerServer` kept.
    func header(_ name: String) -> String? {
        split(separator: "\n", omittingEmptySubsequences: false).prefix { !$0.isEmpty }
            .first { $0.hasPrefix("\(name): ") }.map { String($0.dropFirst(name.count + 2)) }
    }

    var requestBody: String {
        let lines = split(separator: "\n", omittingEmptySubsequences: false)
        return lines.drop { !$0.isEmpty }.dropFirst().joined(separator: "\n")
    }

    var formParameters: [String: String] {
        var parameters: [String: String] = [:]
        for pair in requestBody.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            parameters[String(parts[0])] = parts.count == 2 ? String(parts[1]) : ""
        }
        return parameters
    }
}

/// Counts from several threads.
final class Counter: Sendable {
    private let count = Atomic<Int>(0)
    var value: Int { count.load(ordering: .acquiring) }
    func add() { count.add(1, ordering: .acquiringAndReleasing) }
}

/// An event log that is read again.
final class KeptLog: Sendable {
    let log: EventLog
    private let folder = TemporaryFolder()
    private let descriptor: FileDescriptor

    init() {
        // SAFETY: the string lives for the call.
        descriptor = unsafe FileDescriptor(
            owning: open(folder.file("log"), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0o600))
        log = EventLog(output: LineOutput(descriptor: descriptor.raw))
    }

    var text: String { folder.read("log") }

    func count(_ event: String) -> Int {
        text.split(separator: "\n").count { $0.contains("\"event\":\"\(event)\"") }
    }
}

/// A clock that stands still until it is moved.
final class HandClock: Sendable {
    private let now = Atomic<Int64>(1_000_000_000_000)
    var nanoseconds: Int64 { now.load(ordering: .acquiring) }
    func advance(milliseconds: Int64) { now.add(milliseconds * 1_000_000, ordering: .acquiringAndReleasing) }
}

private let script = """
    import os, ssl, threading, time
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    lock = threading.Lock()
    busy = 0
    peak = 0

    def read(name):
        with open(name, "rb") as file:
            return file.read()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *arguments):
            pass

        def answer(self, status, body, headers=()):
            self.send_response(status)
            for name, value in headers:
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def keep(self, body):
            text = self.requestline + "\\n"
            for name, value in self.headers.items():
                text += name.lower() + ": " + value + "\\n"
            if isinstance(self.connection, ssl.SSLSocket):
                certificate = self.connection.getpeercert()
                if certificate:
                    text += "peer: " + certificate["subject"][0][0][1] + "\\n"
            with open("requests", "ab") as requests:
                requests.write(text.encode("latin-1") + b"\\n" + body + b"\\x1e")
            with open("hits", "a") as hits:
                hits.write(self.path + "\\n")

        def do_POST(self):
            global busy, peak
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            with lock:
                self.keep(body)
                busy += 1
                if busy > peak:
                    peak = busy
                    with open("peak.new", "w") as file:
                        file.write(str(peak))
                    os.rename("peak.new", "peak")
            try:
                self.respond()
            except OSError:
                self.close_connection = True
            with lock:
                busy -= 1

        do_GET = do_POST

        def respond(self):
            path = self.path
            if path.startswith("/held"):
                while not os.path.exists("release"):
                    time.sleep(0.01)
            if path.startswith("/held") or path.startswith("/answer"):
                headers = [("Content-Type", read("type").decode())] if os.path.exists("type") else []
                self.answer(int(read("status")), read("body"), headers)
            elif path.startswith("/list/"):
                name = "list_" + path[6:].split("?")[0].replace("/", "_")
                if os.path.exists(name):
                    self.answer(200, read(name), [("Content-Type", "application/statuslist+jwt")])
                else:
                    self.answer(404, b"")
            elif path == "/redirect":
                self.answer(302, b"", [("Location", "/answer"), ("Content-Type", "application/json")])
            elif path == "/huge":
                self.answer(200, b" " * (5 << 20), [("Content-Type", read("type").decode())])
            elif path in ("/endless", "/slow"):
                self.send_response(200)
                self.send_header("Content-Type", read("type").decode())
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                piece = b"1\\r\\n \\r\\n" if path == "/slow" else b"10000\\r\\n" + b" " * 65536 + b"\\r\\n"
                while True:
                    self.wfile.write(piece)
                    if path == "/slow":
                        time.sleep(0.02)
            elif path == "/silent":
                time.sleep(30)
            elif path == "/short":
                self.send_response(200)
                self.send_header("Content-Type", read("type").decode())
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(b"{")
                self.close_connection = True
            elif path == "/types":
                self.answer(200, b"{}", [("Content-Type", "application/json"), ("Content-Type", "text/html")])
            elif path[1:].isdigit():
                self.answer(int(path[1:]), b"{}", [("Content-Type", "application/json")])
            else:
                self.answer(404, b"not here")

    class Server(ThreadingHTTPServer):
        daemon_threads = True
        request_queue_size = 512

        def handle_error(self, request, client_address):
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("cert.pem", "key.pem")
    if os.path.exists("client-ca.pem"):
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations("client-ca.pem")
    secure = Server(("127.0.0.1", 0), Handler)
    secure.socket = context.wrap_socket(secure.socket, server_side=True, do_handshake_on_connect=False)
    plain = Server(("127.0.0.1", 0), Handler)
    for server in (secure, plain):
        threading.Thread(target=server.serve_forever, daemon=True).start()
    with open("ports.new", "w") as ports:
        ports.write("%d\\n%d\\n" % (secure.server_address[1], plain.server_address[1]))
    os.rename("ports.new", "ports")
    for _ in range(6000):
        if os.path.exists("stop"):
            break
        time.sleep(0.05)
    open("stopped", "w").write("stopped")
    os._exit(0)
    """

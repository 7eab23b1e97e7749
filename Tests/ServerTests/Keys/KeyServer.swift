import Glibc
import Kernel
import Octets
import Signatures
import Synchronization
import Tokens

@testable import Server

/// A folder of its own for one test, with everything in it removed at the end.
final class TemporaryFolder: Sendable {
    let path: String

    init() {
        var template = Array("/tmp/server-tests-XXXXXX".utf8CString)
        // SAFETY: the template is a NUL-ended array that lives for the call.
        unsafe _ = mkdtemp(&template)
        path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    deinit { shell("rm -rf '\(path)'") }

    func file(_ name: String) -> String { "\(path)/\(name)" }

    func write(_ name: String, _ bytes: [UInt8]) throws { try Files.replace(file(name), bytes: bytes.span) }

    func write(_ name: String, _ text: String) throws { try write(name, Array(text.utf8)) }

    func read(_ name: String) -> String {
        guard let contents = try? Files.read(file(name), bytesMax: 1 << 20) else { return "" }
        return String(decoding: contents.bytes, as: UTF8.self)
    }
}

@discardableResult
func shell(_ command: String) -> Int32 {
    // SAFETY: the string lives for the call.
    unsafe system(command)
}

/// Waits until something holds, for as long as a slow machine may need. Gives its thread back meanwhile: what is
/// waited for runs on the same few.
func eventually(_ condition: @Sendable () -> Bool) async -> Bool {
    for _ in 0..<3_000 {
        if condition() { return true }
        try? await Task.sleep(nanoseconds: 10_000_000)
    }
    return false
}

/// As above, for what another process does.
private func blockUntil(_ condition: () -> Bool) -> Bool {
    for _ in 0..<3_000 {
        if condition() { return true }
        usleep(10_000)
    }
    return false
}

/// An HTTPS and an HTTP server on loopback ports that answers by path, in every way an issuer may go wrong.
final class KeyServer: Sendable {
    let folder = TemporaryFolder()
    let securePort: Int
    let plainPort: Int

    var secure: String { "https://localhost:\(securePort)" }
    var plain: String { "http://127.0.0.1:\(plainPort)" }
    var authorityFile: String { folder.file("cert.pem") }

    init() throws {
        try folder.write("server.py", script)
        shell(
            "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=localhost"
                + " -addext subjectAltName=DNS:localhost,IP:127.0.0.1 -keyout '\(folder.file("key.pem"))'"
                + " -out '\(folder.file("cert.pem"))' 2>/dev/null")
        shell("cd '\(folder.path)' && exec python3 server.py >server.log 2>&1 &")
        let folder = folder
        guard blockUntil({ folder.read("ports").hasSuffix("\n") }) else {
            throw SystemError(code: 0, call: "server.py", detail: folder.read("server.log"))
        }
        let ports = folder.read("ports").split(separator: "\n").compactMap { Int($0) }
        guard ports.count == 2 else { throw SystemError(code: 0, call: "server.py", detail: "no ports") }
        (securePort, plainPort) = (ports[0], ports[1])
    }

    deinit {
        // The server ends when the file is there.
        try? folder.write("stop", "")
        _ = blockUntil { !folder.read("stopped").isEmpty }
    }

    /// What `/jwks` answers from now on.
    func publish(_ keys: [UInt8]) throws { try folder.write("jwks", keys) }

    /// How often a path was asked for.
    func hits(_ path: String) -> Int { folder.read("hits").split(separator: "\n").count { $0 == path } }
}

/// A set of public keys with these names.
func keySet(_ names: String...) throws -> [UInt8] {
    let keys = try names.map { name in
        try PrivateJWK(key: PrivateKey.generate(.es256), algorithm: .es256, keyID: name).publicText()
    }
    return JWKText.set(keys)
}

private let script = """
    import os, ssl, threading, time
    from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

    lock = threading.Lock()

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

        def do_GET(self):
            with lock, open("hits", "a") as hits:
                hits.write(self.path + "\\n")
            try:
                self.respond()
            except OSError:
                self.close_connection = True

        def respond(self):
            path = self.path
            file = path.strip("/").replace("/", "_")
            if path == "/500":
                self.answer(500, b"{}")
            elif path == "/redirect":
                self.answer(302, b"", [("Location", "/jwks")])
            elif path == "/huge":
                self.answer(200, b" " * (2 << 20))
            elif path in ("/endless", "/slow"):
                self.send_response(200)
                self.send_header("Transfer-Encoding", "chunked")
                self.end_headers()
                piece = b"1\\r\\n \\r\\n" if path == "/slow" else b"10000\\r\\n" + b" " * 65536 + b"\\r\\n"
                while True:
                    self.wfile.write(piece)
                    if path == "/slow":
                        time.sleep(0.05)
            elif path == "/silent":
                time.sleep(30)
            elif path == "/short":
                self.send_response(200)
                self.send_header("Content-Length", "1000")
                self.end_headers()
                self.wfile.write(open("jwks", "rb").read()[:20])
                self.close_connection = True
            elif path == "/held":
                while not os.path.exists("release"):
                    time.sleep(0.01)
                self.answer(200, open("jwks", "rb").read())
            elif os.path.exists(file):
                self.answer(200, open(file, "rb").read(), [("Content-Type", "text/plain")])
            else:
                self.answer(404, b"not here")

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, request, client_address):
            pass

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("cert.pem", "key.pem")
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

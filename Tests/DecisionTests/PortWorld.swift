@testable import Decision
import Octets
import PolicyTables
import Signatures
import Testing

/// One connection as a proxy describes it: good for the sample policy's port 9443 unless changed.
struct Connection {
    var port: Int64 = 9443
    var certificate: [UInt8]? = CertificateWriter(uris: ["spiffe://example.org/prometheus"]).der
    var isUsed = true
    var verifyResult: Int64 = 0
    var clientAddress: [UInt8]?
    var addressForm = AddressForm.text
    var requestID: [UInt8]?
    var conflict = false

    init(_ writer: CertificateWriter? = nil, port: Int64 = 9443) {
        self.port = port
        if let writer { certificate = writer.der }
    }

    func with(_ change: (inout Connection) -> Void) -> Connection {
        var copy = self
        change(&copy)
        return copy
    }

    /// The facts and the bytes that they point into.
    func laidOut() -> (facts: ConnectionFacts, bytes: [UInt8]) {
        // Bytes around the values, so that a place that is off by one is seen.
        var all: [UInt8] = [0x01]
        func place(_ value: [UInt8]?) -> ByteRange {
            guard let value else { return .absent }
            let start = all.count
            all += value + [0x01]
            return ByteRange(start: start, count: value.count)
        }
        var facts = ConnectionFacts()
        facts.port = port
        facts.certificate.isUsed = isUsed
        facts.certificate.verifyResult = verifyResult
        facts.certificate.der = place(certificate)
        facts.clientAddress = place(clientAddress)
        facts.clientAddressForm = addressForm
        facts.requestID = place(requestID)
        facts.conflict = conflict
        return (facts, all)
    }
}

/// The sample policy with ports and clients of every kind.
func samplePortModel() -> PolicyModel {
    var model = sampleModel()
    model.portServices = [
        PortServiceModel(name: "metrics", ports: [9443, 9444], all: [Scope.metrics]),
        PortServiceModel(name: "queue", ports: [5671], all: [Scope.read], any: [Scope.write, Scope.charge]),
        PortServiceModel(name: "watched", ports: [7000], all: [Scope.support], observeUntil: observeEnd),
    ]
    model.certificateClients = [
        CertificateClientModel(
            name: "prometheus", identity: .uri("spiffe://example.org/prometheus"), scopes: [Scope.metrics]),
        CertificateClientModel(
            name: "worker", identity: .dns("worker.example.org"),
            scopes: [Scope.read, Scope.write, Scope.metrics]),
        CertificateClientModel(name: "star", identity: .dns("*.example.org"), scopes: [Scope.metrics]),
        CertificateClientModel(
            name: "cron", identity: .subject("CN=cron 100%,O=Example"), scopes: [Scope.read, Scope.metrics]),
        CertificateClientModel(name: "guest", identity: .uri("u:guest"), scopes: []),
        CertificateClientModel(name: "reader", identity: .uri("u:reader"), scopes: [Scope.read]),
    ]
    return model
}

extension Decider {
    func verdict(_ connection: Connection, now: Int64 = World.now) -> Verdict {
        let (facts, all) = connection.laidOut()
        decide(facts, all.span, now: now)
        return lastVerdict
    }

    var lastVerdict: Verdict {
        withAnswer { answer in
            let fields = AnswerField.allCases.map { String(decoding: answer.copy(of: $0), as: UTF8.self) }
            return Verdict(
                outcome: .answered, status: answer.status, reason: answer.reason, fields: fields,
                hasChallenge: answer.hasChallenge, hasProofNonce: answer.hasProofNonce)
        }
    }

    func logMembers(_ connection: Connection, valueBytesMax: Int = 256) -> String {
        let (facts, all) = connection.laidOut()
        var line = ByteWriter(capacity: 4_096)
        appendLogMembers(to: &line, facts, all.span, valueBytesMax: valueBytesMax)
        return String(lossy: line.bytes)
    }
}

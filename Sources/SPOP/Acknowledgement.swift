public import Decision
public import Octets

// SPOE.txt §3.2.7: the actions of an ACK. `01 03 scope name value` sets a variable, `02 02 scope name` unsets one;
// scope 2 is the transaction.

extension SPOPConnection {
    /// Writes the one ACK of a request: `allow` is unset first; then every variable is set, empty where there is
    /// nothing to say; on an allow, and only then, `allow` is set to true at the end. HAProxy skips what it cannot
    /// decode from that point on, so that a denial is what remains of a broken answer.
    ///
    /// An answer that is larger than the agreed frame, or not printable ASCII, becomes a denial with status 503. Both
    /// are whole or not there: nothing is written when the output has no room for a denial either, 260 bytes.
    public func acknowledge(
        streamID: UInt64, frameID: UInt64, _ answer: borrowing Answer, into output: inout ByteWriter
    ) {
        let status: UInt16 = answer.reason.isInvalidRequest ? 400 : answer.status
        let isWritten = output.appendFrame(
            FrameType.ack, streamID: streamID, frameID: frameID, bytesMax: isPrintable(answer) ? frameBytesMax : 0
        ) { output in
            output.appendUnset("allow")
            output.appendSet("status")
            output.append(unsigned: UInt32(status))
            // By number: `allCases` would allocate.
            var number: UInt8 = 0
            while let field = AnswerField(rawValue: number) {
                output.appendSet(field.variableName)
                output.append(string: answer.value(of: field))
                number += 1
            }
            guard answer.isAllow, status == 200 else { return }
            output.appendSet("allow")
            output.append(typedBool: true)
        }
        guard !isWritten else { return }
        // DENY: what cannot be said whole.
        let auditID = answer.value(of: .auditID)
        guard
            auditID.count > auditIDBytesMax || !isPrintable(auditID)
                || !appendUnavailable(streamID, frameID, auditID: auditID, &output)
        else { return }
        appendUnavailable(streamID, frameID, auditID: auditID.extracting(0..<0), &output)
    }

    /// The denial of what cannot be answered otherwise. It sets every variable as well: one that another answer of
    /// the same transaction has left would be taken for this one's.
    /// - Returns: false, and nothing is written, when it does not fit. Without an audit id it fits the smallest frame.
    @discardableResult
    private func appendUnavailable(
        _ streamID: UInt64, _ frameID: UInt64, auditID: Span<UInt8>, _ output: inout ByteWriter
    ) -> Bool {
        output.appendFrame(FrameType.ack, streamID: streamID, frameID: frameID, bytesMax: frameBytesMax) { output in
            output.appendUnset("allow")
            output.appendSet("status")
            output.append(unsigned: 503)
            var number: UInt8 = 0
            while let field = AnswerField(rawValue: number) {
                output.appendSet(field.variableName)
                switch field {
                case .decision: output.append(string: "deny")
                case .reason: output.append(string: Reason.overloaded.name)
                case .auditID: output.append(string: auditID)
                default: output.append(string: "")
                }
                number += 1
            }
        }
    }

    /// Writes the ACK of a health question: `healthy` is unset first, and set to true only when so, last.
    /// - Parameter policy: `number.hash` of the policy in force; empty without one.
    public func acknowledgeHealth(
        streamID: UInt64, frameID: UInt64, isHealthy: Bool, reason: StaticString, policy: Span<UInt8>,
        into output: inout ByteWriter
    ) {
        output.appendFrame(
            FrameType.ack, streamID: streamID, frameID: frameID, bytesMax: SPOPLimits.frameBytesMin
        ) { output in
            output.appendUnset("healthy")
            output.appendSet("status")
            output.append(unsigned: isHealthy ? 200 : 503)
            output.appendSet("policy")
            output.append(string: policy)
            output.appendSet("reason")
            output.append(string: reason)
            guard isHealthy else { return }
            output.appendSet("healthy")
            output.append(typedBool: true)
        }
    }

    private func isPrintable(_ answer: borrowing Answer) -> Bool {
        var number: UInt8 = 0
        while let field = AnswerField(rawValue: number) {
            guard isPrintable(answer.value(of: field)) else { return false }
            number += 1
        }
        return true
    }

    private func isPrintable(_ value: Span<UInt8>) -> Bool {
        for index in value.indices where value[index] &- 0x20 > 0x5E { return false }
        return true
    }
}

/// A longer one is none of ours.
private let auditIDBytesMax = 40

extension AnswerField {
    /// The variable's name, to which HAProxy's `option var-prefix` is put in front.
    var variableName: StaticString {
        switch self {
        case .decision: "decision"
        case .reason: "reason"
        case .route: "route"
        case .policy: "policy"
        case .auditID: "audit_id"
        case .subject: "subject"
        case .client: "client"
        case .issuer: "issuer"
        case .granted: "granted"
        case .challenge: "challenge"
        case .proofNonce: "dpop_nonce"
        case .transactionToken: "txn_token"
        case .forwardToken: "forward_token"
        }
    }
}

extension ByteWriter {
    private static let transactionScope: UInt8 = 2

    /// The value is to follow.
    mutating func appendSet(_ name: StaticString) {
        append(UInt8(1))
        append(UInt8(3))
        append(ByteWriter.transactionScope)
        append(counted: name)
    }

    mutating func appendUnset(_ name: StaticString) {
        append(UInt8(2))
        append(UInt8(2))
        append(ByteWriter.transactionScope)
        append(counted: name)
    }

    mutating func append(typedBool value: Bool) {
        append(value ? 0x11 : UInt8(0x01))
    }
}

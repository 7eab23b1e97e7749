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
        let mark = output.count
        var isPrintable = true
        let isWritten = output.appendFrame(
            FrameType.ack, streamID: streamID, frameID: frameID, bytesMax: frameBytesMax
        ) { output in
            output.append(unsetAllowSetStatus)
            output.append(varint: UInt64(status))
            // By number: `allCases` would allocate.
            var number: UInt8 = 0
            while let field = AnswerField(rawValue: number) {
                let value = answer.value(of: field)
                output.append(field.settingHead)
                output.append(varint: UInt64(value.count))
                output.append(value)
                isPrintable = isPrintable && value.isPrintable
                number += 1
            }
            guard answer.isAllow, status == 200 else { return }
            output.append(setAllow)
        }
        if isWritten {
            guard !isPrintable else { return }
            output.rewind(to: mark)
        }
        // DENY: what cannot be said whole.
        let auditID = answer.value(of: .auditID)
        guard
            auditID.count > auditIDBytesMax || !auditID.isPrintable
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
            output.append(unsetAllowSetStatus)
            output.append(varint: 503)
            var number: UInt8 = 0
            while let field = AnswerField(rawValue: number) {
                output.append(field.settingHead)
                switch field {
                case .decision: output.append(counted: "deny")
                case .reason: output.append(counted: Reason.overloaded.name)
                case .auditID:
                    output.append(varint: UInt64(auditID.count))
                    output.append(auditID)
                default: output.append(counted: "")
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
}

/// A longer one is none of ours.
private let auditIDBytesMax = 40

// The parts of an ACK that are always the same, each in one piece: action, number of arguments, scope 2, the name with
// its length, the type of the value (8 a string, 3 an unsigned number of 32 bits), and 0x11 for true.

private let unsetAllowSetStatus: StaticString = "\u{2}\u{2}\u{2}\u{5}allow\u{1}\u{3}\u{2}\u{6}status\u{3}"
private let setAllow: StaticString = "\u{1}\u{3}\u{2}\u{5}allow\u{11}"

extension AnswerField {
    /// All of a set-var before the value's length. HAProxy puts `option var-prefix` in front of the name.
    fileprivate var settingHead: StaticString {
        switch self {
        case .decision: "\u{1}\u{3}\u{2}\u{8}decision\u{8}"
        case .reason: "\u{1}\u{3}\u{2}\u{6}reason\u{8}"
        case .route: "\u{1}\u{3}\u{2}\u{5}route\u{8}"
        case .policy: "\u{1}\u{3}\u{2}\u{6}policy\u{8}"
        case .auditID: "\u{1}\u{3}\u{2}\u{8}audit_id\u{8}"
        case .subject: "\u{1}\u{3}\u{2}\u{7}subject\u{8}"
        case .client: "\u{1}\u{3}\u{2}\u{6}client\u{8}"
        case .issuer: "\u{1}\u{3}\u{2}\u{6}issuer\u{8}"
        case .granted: "\u{1}\u{3}\u{2}\u{7}granted\u{8}"
        case .challenge: "\u{1}\u{3}\u{2}\u{9}challenge\u{8}"
        case .proofNonce: "\u{1}\u{3}\u{2}\u{A}dpop_nonce\u{8}"
        case .transactionToken: "\u{1}\u{3}\u{2}\u{9}txn_token\u{8}"
        case .forwardToken: "\u{1}\u{3}\u{2}\u{D}forward_token\u{8}"
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

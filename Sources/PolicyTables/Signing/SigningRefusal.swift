public import Signatures

/// Why a signed statement does not count. What was in force stays in force.
public enum SigningRefusal: Error, Sendable, Equatable {
    /// There is no statement at all.
    case unsigned
    /// The file with statement and signatures is not of its form.
    case malformed(String)
    /// Signed by a key that is not trusted here, and there are not enough others.
    case unknownKey(String)
    /// A trusted key's signature is not over this statement.
    case badSignature(String)
    /// Fewer trusted keys have signed than are required.
    case tooFew(valid: Int, required: Int)
    /// The statement is about another version than the one that was sent, or is in force.
    case wrongVersion(signed: Digest, found: Digest)
    /// A statement for the other action.
    case wrongAction(isRollback: Bool)
    /// The serial is not greater than the highest that was accepted.
    case replayed(serial: UInt64, highest: UInt64)
    /// The rollback is signed for leaving something else than what is in force.
    case notFromPresent(Digest)
    /// What is stored is not what was signed.
    case tampered(String)

    /// A stable name, for logs, answers and status.
    public var name: String {
        switch self {
        case .unsigned: "unsigned"
        case .malformed: "malformed_signatures"
        case .unknownKey: "unknown_key"
        case .badSignature: "bad_signature"
        case .tooFew: "too_few_signatures"
        case .wrongVersion: "wrong_version"
        case .wrongAction: "wrong_action"
        case .replayed: "replayed_serial"
        case .notFromPresent: "rollback_not_from_present"
        case .tampered: "tampered"
        }
    }
}

extension SigningRefusal: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unsigned:
            "versions need signatures here; make them with `scopecheck policy sign` and give --signatures"
        case .malformed(let problem):
            "the signature file cannot be read: \(problem); make it with `scopecheck policy sign`"
        case .unknownKey(let name):
            "`\(name)` has signed and is none of the trusted keys; have a trusted person sign"
        case .badSignature(let name):
            "the signature of `\(name)` is not over this statement; have it signed again"
        case .tooFew(let valid, let required):
            "\(valid) of \(required) signatures: more trusted keys must sign; add theirs with `scopecheck policy sign`"
        case .wrongVersion(let signed, let found):
            "the signatures are for `\(signed)` and this is `\(found)`; sign exactly the files that are "
                + "applied, with the same --environment"
        case .wrongAction(let isRollback):
            isRollback
                ? "the statement is signed for a rollback; give it to `policy rollback`, or to `policy apply` as "
                    + "--rollback-signatures" : "the statement is signed for an apply; sign one with --rollback-to"
        case .replayed(let serial, let highest):
            "serial \(serial) is not greater than \(highest), the highest that was accepted; sign again with a "
                + "greater --serial"
        case .notFromPresent(let version):
            "the rollback is signed for leaving version `\(version)` as it was accepted then, and that is not what is in "
                + "force; sign a rollback from the version in force"
        case .tampered(let what):
            "\(what); apply the signed policy again, and find out who writes to the store"
        }
    }
}

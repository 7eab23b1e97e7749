@testable internal import Decision
internal import Octets

/// The answer that a request gets, by a number: every status, with and without challenge and nonce, and one that no
/// codec may send.
func fill(_ answer: inout Answer, number: Int) {
    answer.reset()
    let reason: Reason
    switch number % 6 {
    case 0: reason = .granted
    case 1: reason = .insufficientScope
    case 2: reason = .expired
    case 3: reason = .noPolicy
    case 4: reason = .multipleCredentials
    default: reason = .public
    }
    answer.status = reason.status
    answer.reason = reason
    answer.write(.decision, reason.status == 200 ? "allow" : "deny")
    answer.write(.reason, reason.name)
    answer.write(.route, "orders GET /orders/{order}")
    answer.write(.policy, "1.0123456789abcdef")
    answer.write(.auditID, "0000000000000000-1")
    if reason == .granted {
        answer.write(.subject, "ann")
        // Not printable: never to be sent.
        if number % 7 == 6 { answer.write(.client, "a\u{7F}b") }
        // Too long for a head.
        if number % 11 == 10 {
            let long = [UInt8](repeating: 0x61, count: 3_400)
            answer.write(.granted, long.span)
        }
    }
    // With an allow as with a denial.
    if number % 5 == 4 { answer.write(.proofNonce, "eyJ7S_zG.eyJH0-Z.HX4w-7v") }
    if reason.status == 401 || reason == .insufficientScope {
        answer.write(.challenge, "Bearer realm=\"orders\", error=\"invalid_token\"")
    }
}

/// Whether `fill` made an answer that may be sent.
func isSendable(number: Int) -> Bool { !(number % 6 == 0 && number % 7 == 6) }

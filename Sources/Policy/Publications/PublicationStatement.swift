public import Signatures

/// What the owner of a publisher's key signs: which file is published for which service, or that what it published
/// ends now.
///
/// A text of lines, each ended by a line feed, in this order and with nothing else:
///
///     scopecheck publication statement 1
///     action publish                        or withdraw
///     service orders
///     environment prod                      only for a policy that is read for one
///     sha256 9f86d081…                      of the file; not for withdraw
///     serial 1790000000000                  greater than that of every publication accepted before
///     ttl 43200                             seconds that it holds, 0 without an end; not for withdraw
///
/// Its first line tells it from everything else that such a key may sign.
public struct PublicationStatement: Sendable, Equatable {
    public enum Action: Sendable, Equatable {
        /// - Parameter ttlSeconds: 0 sets no end.
        case publish(file: Digest, ttlSeconds: Int)
        case withdraw
    }

    public var action: Action
    public var service: String
    public var environment: String?
    public var serial: UInt64

    public static let bytesMax = 1_024
    static let ttlSecondsLimit = ModelReader.publicationSecondsMax
    private static let title = "scopecheck publication statement 1"

    public init(action: Action, service: String, environment: String? = nil, serial: UInt64) {
        self.action = action
        self.service = service
        self.environment = environment
        self.serial = serial
    }

    /// The bytes that are signed.
    public var text: [UInt8] {
        var lines = [PublicationStatement.title]
        switch action {
        case .publish: lines.append("action publish")
        case .withdraw: lines.append("action withdraw")
        }
        lines.append("service \(service)")
        if let environment { lines.append("environment \(environment)") }
        if case .publish(let file, _) = action { lines.append("sha256 \(file)") }
        lines.append("serial \(serial)")
        if case .publish(_, let ttl) = action { lines.append("ttl \(ttl)") }
        return Array((lines.joined(separator: "\n") + "\n").utf8)
    }

    /// - Returns: nil for anything but the one text of a statement.
    public init?(_ bytes: [UInt8]) {
        guard bytes.count <= PublicationStatement.bytesMax, bytes.last == 0x0A else { return nil }
        var lines = bytes.dropLast().split(separator: 0x0A, omittingEmptySubsequences: false)[...]
        guard let first = lines.popFirst(), first.elementsEqual(PublicationStatement.title.utf8) else { return nil }
        func value(_ name: String) -> String? {
            guard let line = lines.first, line.starts(with: "\(name) ".utf8) else { return nil }
            lines.removeFirst()
            return String(decoding: line.dropFirst(name.utf8.count + 1), as: UTF8.self)
        }
        guard let verb = value("action"), let service = value("service") else { return nil }
        let environment = value("environment")
        var file: Digest?
        if verb == "publish" {
            guard let name = value("sha256"), let digest = Digest(hexadecimal: name) else { return nil }
            file = digest
        }
        guard let serial = value("serial").flatMap({ UInt64($0) }) else { return nil }
        var action = Action.withdraw
        if let file {
            guard let ttl = value("ttl").flatMap({ Int($0) }), (0...PublicationStatement.ttlSecondsLimit).contains(ttl)
            else { return nil }
            action = .publish(file: file, ttlSeconds: ttl)
        } else if verb != "withdraw" {
            return nil
        }
        self.init(action: action, service: service, environment: environment, serial: serial)
        // One text for each statement: no sign before a number, no upper case, nothing behind.
        guard lines.isEmpty, PublicationStatement.isService(service), text == bytes else { return nil }
    }

    /// 1 to 64 letters, digits, `_`, `-` and `.`, and no folder's `.` or `..`.
    static func isService(_ name: String) -> Bool {
        (1...64).contains(name.utf8.count) && name.utf8.allSatisfy(isNameCharacter) && name != "." && name != ".."
    }
}

/// The seconds of a publication's time as commands take it: a whole number and `s`, `m`, `h` or `d`, up to a year.
/// - Returns: nil for anything else.
public func publicationSeconds(_ text: String) -> Int? {
    do throws(TextProblem) {
        return try readDuration(
            Array(text.utf8)[...], seconds: 1...PublicationStatement.ttlSecondsLimit, example: "24h", takesDays: true)
    } catch {
        return nil
    }
}

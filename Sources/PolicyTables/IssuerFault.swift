extension IssuerModel {
    /// Why nothing may be decided with these settings, wherever they come from; nil when they hold together. Goes on
    /// after the issuer's name.
    var fault: String? {
        if keySource == .none, !(introspection.map(\.givesKeysUp) ?? false) {
            return "has no keys, and is not asked about each of its tokens either"
        }
        if keySource == .none, !statusLists.isEmpty { return "has status lists and no keys to verify them with" }
        return statusLists.contains("") ? "has a status list without URI" : introspection?.fault
    }
}

extension IntrospectionModel {
    /// Whether no key of the issuer's is ever needed: it is asked about tokens that are no JWS, in replies that are
    /// none either.
    public var givesKeysUp: Bool { use == .opaque && !demandsJWT }

    /// Goes on after the issuer's name.
    fileprivate var fault: String? {
        if endpoint.isEmpty || clientID.isEmpty { return "is asked without an endpoint or a client" }
        let files = [secretFile, keyFile, certificateFile].map { $0 != nil }
        guard files == authentication.files, ![secretFile, keyFile, certificateFile].contains("") else {
            return "is asked with other files than its authentication takes"
        }
        guard cacheSecondsMax >= 1, Int(cacheSecondsMax) <= IntrospectionModel.cacheSecondsLimit,
            Int(negativeSecondsMax) <= IntrospectionModel.negativeSecondsLimit,
            IntrospectionModel.timeoutMillisecondsRange.contains(Int(timeoutMilliseconds))
        else { return "is asked with times beyond their limits" }
        return nil
    }
}

extension IntrospectionModel.Authentication {
    /// Whether a secret, a key and a certificate belong to it.
    fileprivate var files: [Bool] {
        switch self {
        case .basic, .post: [true, false, false]
        case .privateKeyJWT: [false, true, false]
        case .mutualTLS: [false, true, true]
        }
    }
}

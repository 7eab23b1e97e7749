internal import Octets
internal import Policy
internal import PolicyTables
internal import Signatures
internal import Tokens

// A signed statement as `policy sign` and `policy verify` tell of it.

extension PolicyStatement {
    /// `policy sign` takes the time for the serial unless it is told another: nothing else says when it was signed. Nil
    /// for what is no time since 2020, and for one to come.
    var serialAsTime: String? {
        let seconds = Int64(clamping: serial)
        return (1_577_836_800...max(1_577_836_800, nowSeconds())).contains(seconds) ? timestamp(seconds) : nil
    }
}

extension JSONObjectWriter {
    mutating func add(_ statement: PolicyStatement) {
        add("action", string: statement.leaving == nil ? "apply" : "rollback")
        add("version", string: statement.version.description)
        add("serial", number: Int64(clamping: statement.serial))
        if let time = statement.serialAsTime { add("serial_as_time", string: time) }
        if let leaving = statement.leaving {
            add("from", string: leaving.version.description)
            add("from_serial", number: Int64(clamping: leaving.serial))
        }
    }

    /// - Parameter signatures: names of the keys, each with what was found of its signature; nil where nobody looked.
    mutating func add(signatures: [(keyID: String, result: String?)]) {
        let list = signatures.map { keyID, result in
            var one = JSONObjectWriter()
            one.add("kid", string: keyID)
            one.add("algorithm", string: SignatureAlgorithm.ed25519.name)
            if let result { one.add("result", string: result) }
            return one.text()
        }
        add("signatures", json: [0x5B] + Array(list.joined(separator: [0x2C])) + [0x5D])
    }
}

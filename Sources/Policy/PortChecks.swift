internal import PolicyTables

/// Rules over services of `kind: tcp` and clients together.
extension ModelReader {
    /// Comparing every client with every service takes their product; the rules warn of slips, they guard nothing.
    private static let clientStepsMax = 16_777_216

    func warnOfClosedPorts() {
        var isHeld = [Bool](repeating: false, count: model.scopes.count)
        for client in model.certificateClients {
            for scope in client.scopes { isHeld[Int(scope)] = true }
        }
        for (service, requirement) in zip(model.portServices, portRequirements) {
            for (scope, position) in requirement where !isHeld[Int(scope)] {
                sink.warning(
                    .unheldScope, at: position,
                    "no client holds the scope \(quoted(model.scopes[Int(scope)].name)) "
                        + "that \(quoted(service.name)) requires",
                    mend: "approve it for a client, or remove it here")
            }
        }
        warnOfClientsWithoutPorts()
    }

    private func warnOfClientsWithoutPorts() {
        var steps = 0
        for (client, position) in zip(model.certificateClients, clientPositions) {
            var holds = [Bool](repeating: false, count: model.scopes.count)
            for scope in client.scopes { holds[Int(scope)] = true }
            steps += model.scopes.count
            var opens = false
            for service in model.portServices {
                steps += 1 + service.all.count + service.any.count
                guard steps <= ModelReader.clientStepsMax else { return }
                opens =
                    service.all.allSatisfy { holds[Int($0)] }
                    && (service.any.isEmpty || service.any.contains { holds[Int($0)] })
                if opens { break }
            }
            if opens { continue }
            sink.warning(
                .opensNothing, at: position, "the scopes of the client \(quoted(client.name)) open no port",
                mend: "approve what a service of `kind: tcp` requires, or remove the client")
        }
    }
}

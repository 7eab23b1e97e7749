public import PolicyTables

/// Where what services publish stands in a policy's bundle: a folder for each service, with the file exactly as it was
/// published and, where it ends, a file of the daemon's that says when.
///
/// A folder and not a file: no service can be called so that its files meet those of another.
extension PolicyBundle {
    public static func publishedFile(of service: String) -> String { "\(publishedPrefix)\(service)/routes.yaml" }
    static func publicationEnd(of service: String) -> String { "\(publishedPrefix)\(service)/end.yaml" }

    /// The service whose publication a file of that name belongs to: exactly as it is stored, so that a folder of
    /// somebody's own that is only called so counts for nothing.
    /// - Returns: nil for any other file.
    static func publishedService(_ file: String) -> String? {
        guard isBelowPublished(file) else { return nil }
        let parts = file.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 3 else { return nil }
        let service = String(parts[1])
        guard PublicationStatement.isService(service),
            [publishedFile(of: service), publicationEnd(of: service)].contains(where: {
                $0.utf8.elementsEqual(file.utf8)
            })
        else { return nil }
        return service
    }

    /// Whether the service of that name has been published, and not written into a file of the policy's own.
    func hasPublication(of service: String) -> Bool {
        let name = PolicyBundle.publishedFile(of: service)
        return files.contains { $0.name.utf8.elementsEqual(name.utf8) }
    }

    /// The policy with what a service published in place of what it published before.
    /// - Parameters:
    ///   - file: nil leaves the one that is there.
    ///   - ends: Unix seconds; nil is for ever.
    /// - Returns: nil when that is more than a bundle holds.
    func publishing(_ file: [UInt8]?, of service: String, ends: Int64?) -> PolicyBundle? {
        let fileName = PolicyBundle.publishedFile(of: service)
        let endName = PolicyBundle.publicationEnd(of: service)
        var files = files.filter { !$0.name.utf8.elementsEqual(endName.utf8) }
        if let file {
            files.removeAll { $0.name.utf8.elementsEqual(fileName.utf8) }
            files.append(File(name: fileName, bytes: file))
        }
        // A policy of one file was stored without its name.
        for index in files.indices where files[index].name.isEmpty { files[index].name = "policy.yaml" }
        if let ends {
            files.append(File(name: endName, bytes: PolicyBundle.endText(of: service, ends)))
        }
        return PolicyBundle(files: files, environment: environment)
    }

    /// Whether any service has published something into it.
    public var hasPublications: Bool { files.contains { PolicyBundle.publishedService($0.name) != nil } }

    static func endText(of service: String, _ ends: Int64) -> [UInt8] {
        let text = """
            # Written by scopecheck: when what the service published ends.
            scopecheck: 1
            publications:
              "\(service)": { ends: \(timeText(ends)) }

            """
        return Array(text.utf8)
    }

    /// Whether it is that policy, and beside it nothing but what services have published.
    public func isPublished(beside policy: PolicyBundle) -> Bool {
        let own = files.filter { PolicyBundle.publishedService($0.name) == nil }
        let given = policy.files.filter { PolicyBundle.publishedService($0.name) == nil }
        guard environment == policy.environment, own.count == given.count,
            policy.publishedServices.isSubset(of: publishedServices)
        else { return false }
        // The name of one file alone is not part of its version.
        let isNamed = own.count > 1 || environment != nil
        return zip(own, given).allSatisfy {
            $0.bytes == $1.bytes && (!isNamed || $0.name.utf8.elementsEqual($1.name.utf8))
        }
    }

    private var publishedServices: Set<String> { Set(files.compactMap { PolicyBundle.publishedService($0.name) }) }

    /// The policy with what has been published into another one, of the services that are named. It takes the place of
    /// what the policy brings of the same services, as one that was exported does: a service may have published since.
    /// - Parameter services: nil is all.
    /// - Returns: nil when that is more than a bundle holds.
    func keeping(_ services: [String]?, of other: PolicyBundle) -> PolicyBundle? {
        let wanted = services.map { other.publishedServices.intersection($0) } ?? other.publishedServices
        guard !wanted.isEmpty else { return self }
        func isWanted(_ file: File) -> Bool { PolicyBundle.publishedService(file.name).map(wanted.contains) ?? false }
        let kept = other.files.filter(isWanted)
        var files = files.filter { !isWanted($0) }
        for index in files.indices where files[index].name.isEmpty { files[index].name = "policy.yaml" }
        return PolicyBundle(files: files + kept, environment: environment)
    }

    /// Whether a service has published the file of that name: exactly as it is stored, so that a folder of somebody's own
    /// that is only called so counts for nothing.
    /// - Parameter service: one whose own file does not count.
    public static func isPublished(_ file: String, byOthersThan service: String? = nil) -> Bool {
        guard let publisher = publishedService(file), publishedFile(of: publisher).utf8.elementsEqual(file.utf8) else {
            return false
        }
        return service.map { !$0.utf8.elementsEqual(publisher.utf8) } ?? true
    }

    /// Whether it stands in the folder where the daemon keeps what services publish.
    static func isBelowPublished(_ file: String) -> Bool { file.utf8.starts(with: publishedPrefix.utf8) }

    private static let publishedPrefix = "published/"
}

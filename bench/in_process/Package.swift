// swift-tools-version: 6.2
import PackageDescription

// The modules that decide, by links, as the daemon builds them, and one program that has them verify tokens: `bench/run
// verify` measures it against floors/openssl.c.
let strict: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableExperimentalFeature("Lifetimes"),
]

let package = Package(
    name: "scopecheck-bench",
    products: [.executable(name: "FirstSeen", targets: ["FirstSeen"])],
    targets: [
        .systemLibrary(name: "CLMDB", providers: [.apt(["liblmdb-dev"])]),
        .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .target(name: "Octets", swiftSettings: strict),
        .target(name: "Store", dependencies: ["CLMDB", "Octets"], swiftSettings: strict),
        .target(name: "Signatures", dependencies: ["COpenSSL", "Octets"], swiftSettings: strict),
        .target(name: "Tokens", dependencies: ["Octets", "Signatures"], swiftSettings: strict),
        .target(
            name: "PolicyTables", dependencies: ["Octets", "Signatures", "Store", "Tokens"],
            swiftSettings: strict),
        .target(
            name: "Decision",
            dependencies: ["Octets", "PolicyTables", "Signatures", "Store", "Tokens"],
            swiftSettings: strict),
        .executableTarget(
            name: "FirstSeen",
            dependencies: ["Decision", "Octets", "PolicyTables", "Signatures", "Store", "Tokens"],
            swiftSettings: strict),
    ]
)

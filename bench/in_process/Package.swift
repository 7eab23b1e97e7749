// swift-tools-version: 6.2
import PackageDescription

// The modules that decide, by links, as the daemon builds them, and the programs that `bench/run` measures them with:
// FirstSeen has tokens verified, beside floors/openssl.c; Decisions decides with tokens that were seen before.
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
    products: [
        .executable(name: "FirstSeen", targets: ["FirstSeen"]),
        .executable(name: "Decisions", targets: ["Decisions"]),
    ],
    targets: [
        .systemLibrary(name: "CLMDB", providers: [.apt(["liblmdb-dev"])]),
        .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CLinux"),
        .target(name: "Octets", swiftSettings: strict),
        .target(name: "Kernel", dependencies: ["CLinux", "Octets"], swiftSettings: strict),
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
        .target(
            name: "Samples", dependencies: ["Decision", "Octets", "PolicyTables", "Signatures", "Tokens"],
            swiftSettings: strict),
        .executableTarget(
            name: "FirstSeen",
            dependencies: ["Decision", "Octets", "PolicyTables", "Samples", "Signatures", "Store", "Tokens"],
            swiftSettings: strict),
        .executableTarget(
            name: "Decisions",
            dependencies: [
                "Decision", "Kernel", "Octets", "PolicyTables", "Samples", "Signatures", "Store", "Tokens",
            ],
            swiftSettings: strict),
    ]
)

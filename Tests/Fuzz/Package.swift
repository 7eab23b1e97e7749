// swift-tools-version: 6.2
import PackageDescription

// The modules under test, by links, so that they can be built with libFuzzer's instrumentation and without
// the dependencies of the server. `-enable-testing` opens what is internal to them: the readers of targets
// and hosts.
let tested: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .strictMemorySafety(),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableExperimentalFeature("Lifetimes"),
    .unsafeFlags(["-enable-testing"]),
]
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
    name: "scopecheck-fuzz",
    products: [
        .executable(name: "Fuzz", targets: ["Fuzz"]),
        .executable(name: "Replay", targets: ["Replay"]),
    ],
    dependencies: [
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2")
    ],
    targets: [
        .systemLibrary(name: "CLMDB", providers: [.apt(["liblmdb-dev"])]),
        .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CLinux"),
        // Who else reads what is inflated here: the measure of the target `statuses`, and part of nothing that ships.
        .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"])]),
        .target(name: "Octets", swiftSettings: tested),
        .target(name: "Kernel", dependencies: ["CLinux", "Octets"], swiftSettings: tested),
        .target(name: "Store", dependencies: ["CLMDB", "Octets"], swiftSettings: tested),
        .target(name: "Signatures", dependencies: ["COpenSSL", "Octets"], swiftSettings: tested),
        .target(name: "Tokens", dependencies: ["Octets", "Signatures"], swiftSettings: tested),
        .target(
            name: "PolicyTables", dependencies: ["Octets", "Signatures", "Store", "Tokens"],
            swiftSettings: tested),
        .target(
            name: "Decision",
            dependencies: ["Octets", "PolicyTables", "Signatures", "Store", "Tokens"],
            swiftSettings: tested),
        .target(
            name: "Policy",
            dependencies: [
                "Decision", "Kernel", "Octets", "PolicyTables", "Signatures", "Store", "Tokens",
                .product(name: "Yams", package: "Yams"),
            ], swiftSettings: tested),
        .target(name: "FastCGI", dependencies: ["Decision", "Octets"], swiftSettings: tested),
        .target(name: "HTTP1", dependencies: ["Decision", "Octets"], swiftSettings: tested),
        .target(name: "SPOP", dependencies: ["Decision", "Octets"], swiftSettings: tested),

        // One function per target, from bytes to nothing or a trap.
        .target(
            name: "FuzzTargets",
            dependencies: [
                "CZlib", "Decision", "FastCGI", "HTTP1", "Octets", "Policy", "PolicyTables", "SPOP", "Signatures",
                "Store", "Tokens",
            ], swiftSettings: strict),
        // libFuzzer brings `main`.
        .executableTarget(name: "Fuzz", dependencies: ["FuzzTargets"], swiftSettings: strict),
        // Runs files through the same functions, without libFuzzer.
        .executableTarget(name: "Replay", dependencies: ["FuzzTargets"], swiftSettings: strict),
    ]
)

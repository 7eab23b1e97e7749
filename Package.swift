// swift-tools-version: 6.2
import PackageDescription

// Every target of ours: language mode 6, strict memory safety, warnings are errors.
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
    name: "scopecheck",
    products: [
        .executable(name: "scopecheck", targets: ["scopecheck"]),
        .executable(name: "scopecheck-health", targets: ["scopecheck-health"]),
    ],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/jpsim/Yams", from: "6.2.2"),
        .package(url: "https://github.com/swift-server/async-http-client", from: "1.37.0"),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-ssl", from: "2.37.6"),
    ],
    targets: [
        // One module map and one shim header each; one Swift module imports each of them.
        .systemLibrary(name: "CLMDB", providers: [.apt(["liblmdb-dev"])]),
        .systemLibrary(name: "COpenSSL", pkgConfig: "libcrypto", providers: [.apt(["libssl-dev"])]),
        .systemLibrary(name: "CLinux"),
        // What Embedded Swift may import: it cannot read the module of the ordinary C library.
        .systemLibrary(name: "CHealth"),
        .systemLibrary(name: "CFastCGI", providers: [.apt(["libfcgi-dev"])]),

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
            name: "Policy",
            dependencies: [
                "Decision", "Kernel", "Octets", "PolicyTables", "Signatures", "Store", "Tokens",
                .product(name: "Yams", package: "Yams"),
            ], swiftSettings: strict),
        .target(
            name: "PolicyComparison", dependencies: ["Octets", "PolicyTables", "Signatures", "Tokens"],
            swiftSettings: strict),
        .target(
            name: "OpenAPI",
            dependencies: ["Octets", "Policy", "PolicyTables", "Tokens", .product(name: "Yams", package: "Yams")],
            swiftSettings: strict),
        .target(name: "FastCGI", dependencies: ["Decision", "Octets"], swiftSettings: strict),
        .target(
            name: "LibFCGI", dependencies: ["CFastCGI", "Decision", "FastCGI", "Octets"],
            swiftSettings: strict),
        .target(name: "HTTP1", dependencies: ["Decision", "Octets"], swiftSettings: strict),
        .target(name: "SPOP", dependencies: ["Decision", "Octets"], swiftSettings: strict),
        .target(
            name: "Server",
            dependencies: [
                "Decision", "FastCGI", "HTTP1", "Kernel", "LibFCGI", "Octets", "Policy", "PolicyComparison",
                "PolicyTables", "SPOP", "Signatures", "Store", "Tokens",
                .product(name: "AsyncHTTPClient", package: "async-http-client"),
                .product(name: "NIOCore", package: "swift-nio"),
                .product(name: "NIOHTTP1", package: "swift-nio"),
                .product(name: "NIOSSL", package: "swift-nio-ssl"),
                .product(name: "Yams", package: "Yams"),
            ], swiftSettings: strict),
        .executableTarget(
            name: "scopecheck",
            dependencies: [
                "Decision", "Kernel", "Octets", "OpenAPI", "Policy", "PolicyComparison", "PolicyTables", "Server",
                "Signatures", "Store", "Tokens",
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ], swiftSettings: strict),

        // Static and without the Swift runtime, so that it runs in an empty chroot. The C entry point carries the
        // target's name.
        .executableTarget(
            name: "scopecheck-health", dependencies: ["CHealth"],
            swiftSettings: strict + [.enableExperimentalFeature("Embedded")],
            linkerSettings: [.unsafeFlags(["-Xclang-linker", "-static", "-Xlinker", "--strip-all"])]),

        .testTarget(name: "OctetsTests", dependencies: ["Octets"], swiftSettings: strict),
        .testTarget(name: "KernelTests", dependencies: ["CLinux", "Kernel", "Octets"], swiftSettings: strict),
        .testTarget(name: "StoreTests", dependencies: ["Store"], swiftSettings: strict),
        .testTarget(name: "SignaturesTests", dependencies: ["Octets", "Signatures"], swiftSettings: strict),
        .testTarget(
            name: "TokensTests", dependencies: ["Octets", "Signatures", "Tokens"], swiftSettings: strict),
        .testTarget(
            name: "PolicyTablesTests",
            dependencies: ["Octets", "PolicyTables", "Signatures", "Store", "Tokens"], swiftSettings: strict),
        .testTarget(
            name: "PolicyTests", dependencies: ["Decision", "Kernel", "Policy", "PolicyTables", "Signatures"],
            swiftSettings: strict),
        .testTarget(
            name: "PolicyComparisonTests",
            dependencies: ["Decision", "Octets", "Policy", "PolicyComparison", "PolicyTables", "Signatures", "Tokens"],
            swiftSettings: strict),
        .testTarget(
            name: "OpenAPITests",
            dependencies: ["Decision", "Kernel", "OpenAPI", "Policy", "PolicyTables", "Signatures", "Tokens"],
            swiftSettings: strict),
        .testTarget(
            name: "DecisionTests",
            dependencies: ["Decision", "Kernel", "Octets", "PolicyTables", "Signatures", "Store", "Tokens"],
            swiftSettings: strict),
        .testTarget(
            name: "FastCGITests", dependencies: ["Decision", "FastCGI", "Octets"], swiftSettings: strict),
        .testTarget(name: "HTTP1Tests", dependencies: ["Decision", "HTTP1", "Octets"], swiftSettings: strict),
        .testTarget(name: "SPOPTests", dependencies: ["Decision", "Octets", "SPOP"], swiftSettings: strict),
        .testTarget(
            name: "ServerTests",
            dependencies: [
                "Decision", "Kernel", "Octets", "Policy", "PolicyTables", "Server", "Signatures", "Store", "Tokens",
            ], swiftSettings: strict),
        .testTarget(
            name: "LibFCGITests", dependencies: ["Decision", "FastCGI", "LibFCGI", "Octets"],
            swiftSettings: strict),
    ]
)

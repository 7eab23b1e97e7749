internal import FuzzTargets
internal import Glibc

private let chosen: @Sendable (Span<UInt8>) -> Void = {
    let name = unsafe getenv("SCOPECHECK_FUZZ_TARGET").map { unsafe String(cString: $0) } ?? ""
    guard let function = target(named: name) else {
        fatalError("SCOPECHECK_FUZZ_TARGET names no target: `\(name)`")
    }
    return function
}()

/// libFuzzer's entry: one input, by the target that SCOPECHECK_FUZZ_TARGET names.
@c(LLVMFuzzerTestOneInput)
public func testOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    // SAFETY: libFuzzer's input lives until this returns.
    unsafe chosen(UnsafeBufferPointer(start: start, count: count).span)
    return 0
}

internal import Glibc

/// Ends the process when a target's claim does not hold; libFuzzer then keeps the input.
func check(_ holds: Bool, _ claim: StaticString) {
    guard !holds else { return }
    // SAFETY: a StaticString holds utf8CodeUnitCount bytes for ever.
    unsafe _ = write(2, claim.utf8Start, claim.utf8CodeUnitCount)
    unsafe _ = write(2, "\n", 1)
    abort()
}

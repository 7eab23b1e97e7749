internal import Glibc

/// CPU time of this process, all threads.
public func processMicroseconds() -> Double { Double(read(CLOCK_PROCESS_CPUTIME_ID)) / 1e3 }

/// CPU time of this thread.
public func threadNanoseconds() -> Int64 { read(CLOCK_THREAD_CPUTIME_ID) }

/// No system call where the kernel maps its clock.
public func monotonicNanoseconds() -> Int64 { read(CLOCK_MONOTONIC) }

private func read(_ clock: clockid_t) -> Int64 {
    var time = timespec()
    // SAFETY: the clock writes to a local.
    unsafe clock_gettime(clock, &time)
    return Int64(time.tv_sec) * 1_000_000_000 + Int64(time.tv_nsec)
}

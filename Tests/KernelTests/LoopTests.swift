import Glibc
import Synchronization
import Testing

@testable import Kernel

@Suite struct LoopTests {
    let folder = TemporaryFolder()

    @Test func epollReportsTokens() throws {
        var epoll = try Epoll(capacity: 4)
        let first = try EventFD()
        let second = try EventFD()
        try epoll.add(first.raw, token: .max, for: .readable)
        try epoll.add(second.raw, token: 0x1_0000_0001, for: [.readable, .edgeTriggered])
        #expect(epoll.wait(timeoutMilliseconds: 0) == 0)
        first.signal()
        first.signal()
        #expect(epoll.wait(timeoutMilliseconds: nil) == 1)
        #expect(epoll.event(0) == EpollEvent(token: .max, readiness: .readable))
        #expect(first.drain() == 2)
        #expect(first.drain() == 0)
        second.signal()
        #expect(epoll.wait(timeoutMilliseconds: 5000) == 1)
        #expect(epoll.event(0).token == 0x1_0000_0001)
        try epoll.modify(first.raw, token: 5, for: .readable)
        first.signal()
        #expect(epoll.wait(timeoutMilliseconds: 5000) == 1)
        #expect(epoll.event(0).token == 5)
        try epoll.remove(first.raw)
        #expect(epoll.wait(timeoutMilliseconds: 0) == 0)
        var code: Int32 = 0
        do { try epoll.remove(first.raw) } catch { code = error.code }
        #expect(code == ENOENT)
    }

    @Test func exclusiveListener() throws {
        let listener = try ListeningSocket.listen(on: .unix(path: folder.file("a.sock")))
        var one = try Epoll()
        var two = try Epoll()
        try one.add(listener.raw, token: 1, for: [.readable, .exclusive])
        try two.add(listener.raw, token: 2, for: [.readable, .exclusive])
        let client = FileDescriptor(owning: try connect(listener))
        #expect(one.wait(timeoutMilliseconds: 5000) == 1)
        #expect(two.wait(timeoutMilliseconds: 5000) == 1)
        _ = consume client
    }

    @Test func signalsArriveByDescriptor() throws {
        final class Context: Sendable {
            let received = Atomic<Int32>(0)
            let target = Atomic<Int>(0)
        }
        let context = Context()
        // In a thread of its own: the mask and the signal are that thread's.
        let thread = try SystemThread.start(name: "signals", context: context) { context in
            guard let signals = try? SignalFD([SIGUSR2]) else { return }
            if signals.next() != nil { return }
            _ = pthread_kill(pthread_self(), SIGUSR2)
            context.received.store(signals.next() ?? -1, ordering: .sequentiallyConsistent)
        }
        thread.join()
        #expect(context.received.load(ordering: .sequentiallyConsistent) == SIGUSR2)
    }

    @Test func threadsRunNamedAndJoin() throws {
        let context = ThreadFacts()
        let thread = try SystemThread.start(
            name: "a-name-that-is-too-long", stackBytes: 1, context: context, run: recordName)
        thread.join()
        thread.join()
        thread.send(signal: SIGKILL)
        #expect(context.name.withLock { $0 } == "a-name-that-is-")
        let isBlocked = context.blocked.load(ordering: .sequentiallyConsistent)
        #expect(isBlocked)
        #expect(SystemThread.processorCount() >= 1)
    }

    @Test func aSignalInterruptsABlockingCall() throws {
        final class Context: Sendable {
            let pipe: Int32
            let started = Atomic<Bool>(false)
            let code = Atomic<Int>(0)
            init(pipe: Int32) { self.pipe = pipe }
        }
        var ends: [Int32] = [0, 0]
        // SAFETY: two descriptors are written.
        #expect(unsafe pipe(&ends) == 0)
        let context = Context(pipe: ends[0])
        try Signals.makeInterrupting(SIGUSR1)
        let thread = try SystemThread.start(name: "blocked", unblocked: [SIGUSR1], context: context) {
            context in
            var byte: UInt8 = 0
            context.started.store(true, ordering: .sequentiallyConsistent)
            // SAFETY: one byte is written.
            let result = once { unsafe read(context.pipe, &byte, 1) }
            context.code.store(result, ordering: .sequentiallyConsistent)
        }
        while !context.started.load(ordering: .sequentiallyConsistent) { sched_yield() }
        // The signal may come before the call blocks; it is sent until the thread says that it was seen.
        while context.code.load(ordering: .sequentiallyConsistent) == 0 {
            thread.send(signal: SIGUSR1)
            usleep(1000)
        }
        thread.join()
        #expect(context.code.load(ordering: .sequentiallyConsistent) == -Int(EINTR))
        _ = close(ends[0])
        _ = close(ends[1])
    }

    @Test func renameIsSeenAndWritingInPlaceIsNot() throws {
        folder.write("policy.yaml", "old")
        var watch = try FolderWatch()
        try watch.add(folder: folder.path)
        try watch.add(folder: folder.path)
        func inPlace(_ name: String) -> FolderChange { .changedInPlace(folder: folder.path, name: name) }
        let renamed = FolderChange.renamedInto(folder: folder.path, name: "policy.yaml")
        folder.write("policy.yaml", "half of")
        folder.write("other.tmp", "new")
        let written = watch.changes()
        #expect(Set(written) == [inPlace("policy.yaml"), inPlace("other.tmp")])
        // SAFETY: the strings live for the call.
        #expect(unsafe rename(folder.file("other.tmp"), folder.file("policy.yaml")) == 0)
        #expect(watch.changes() == [inPlace("other.tmp"), renamed])
        #expect(watch.changes() == [])
        let bytes = Array("newer".utf8)
        try Files.replace(folder.file("policy.yaml"), bytes: bytes.span)
        #expect(watch.changes().last == renamed)
        // SAFETY: the string lives for the call.
        #expect(unsafe unlink(folder.file("policy.yaml")) == 0)
        #expect(watch.changes() == [inPlace("policy.yaml")])
    }

    @Test func aWatchedFolderThatGoes() throws {
        let inner = folder.file("inner")
        try Files.makeFolder(inner)
        var watch = try FolderWatch()
        try watch.add(folder: inner)
        // SAFETY: the string lives for the call.
        #expect(unsafe rmdir(inner) == 0)
        #expect(watch.changes() == [.folderGone(folder: inner)])
        var code: Int32 = 0
        do { try watch.add(folder: inner) } catch { code = error.code }
        #expect(code == ENOENT)
    }
}

/// What a thread saw of itself.
private final class ThreadFacts: Sendable {
    let name = Mutex("")
    let blocked = Atomic<Bool>(false)
}

private func recordName(_ context: ThreadFacts) {
    var buffer = [CChar](repeating: 0, count: 64)
    // SAFETY: prctl(PR_GET_NAME) is what this file of proc shows; the array has 64 bytes.
    let raw = unsafe open("/proc/thread-self/comm", O_RDONLY)
    let count = unsafe read(raw, &buffer, 63)
    _ = close(raw)
    let bytes = buffer.prefix(max(0, count - 1)).map { UInt8(bitPattern: $0) }
    context.name.withLock { $0 = String(decoding: bytes, as: UTF8.self) }
    var mask = sigset_t()
    // SAFETY: the set lives for the calls.
    unsafe pthread_sigmask(SIG_BLOCK, nil, &mask)
    let all = [SIGTERM, SIGHUP, SIGUSR1].allSatisfy { unsafe sigismember(&mask, $0) == 1 }
    let fault = unsafe sigismember(&mask, SIGSEGV) == 0
    context.blocked.store(all && fault, ordering: .sequentiallyConsistent)
}

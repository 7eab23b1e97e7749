internal import Glibc

/// Whether a person sees what is written to a descriptor as it is written.
public func isTerminal(_ descriptor: Int32) -> Bool { isatty(descriptor) == 1 }

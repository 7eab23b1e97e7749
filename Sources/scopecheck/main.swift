internal import ArgumentParser

Scopecheck.main()

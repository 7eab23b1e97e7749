module scopecheck.example/checker

go 1.27

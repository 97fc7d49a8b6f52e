"""What plugpy serves in the benchmarks, started by `plugpy serve bench.apps.NAME:ATTRIBUTE`."""

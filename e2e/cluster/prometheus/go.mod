module sealgate.test/prometheus

go 1.26.0

// 3.15.1. Later ones need a Go that is newer than 1.26.6.
require github.com/prometheus/prometheus v0.315.1

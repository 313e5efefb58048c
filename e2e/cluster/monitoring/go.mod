// Where the custom resources of the Prometheus operator come from; nothing of it is built.
module sealgate.test/monitoring

go 1.24

require github.com/prometheus-operator/prometheus-operator v0.85.0

# Every target installs what it needs, says what it does and how long it took. README.md explains them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo cluster cluster-down test check soak bench image

# Real servers and clients that the tests run against, and what shows them another day, from Debian.
KMS := openssl python3 python3-cryptography python3-pykmip
CLIENTS := libfaketime python3-venv rclone restic s3cmd strace
# What a Kubernetes node runs, beside the programs that are built: only a machine that lets us make namespaces can use it.
CLUSTER := busybox-static conntrack containerd containernetworking-plugins iproute2 ipset iptables nftables openssl python3 runc

help: ## this list
	@sed -n 's/^\([a-z-]*\): ## /make \1\t/p' Makefile | expand -t 14

demo: ## data plane, KMIP server and an encrypted bucket; a tour, then it serves until Ctrl-C (ONCE=1: exits after the tour)
	@.tools/install.sh packages
	@.tools/install.sh debian --optional $(KMS)
	@.tools/run.sh node e2e/demo.ts

cluster: ## a Kubernetes cluster that stays up, Sealgate installed and a bucket in use as the docs say (BARE=1: nothing installed)
	@.tools/install.sh packages
	@if .tools/run.sh node e2e/cluster.ts needs-programs; then \
	  .tools/install.sh debian $(CLUSTER) $(KMS) python3-venv; .tools/install.sh cluster; .tools/install.sh clients; fi
	@.tools/run.sh node --disable-warning=ExperimentalWarning e2e/cluster.ts up $(if $(BARE),--bare)

cluster-down: ## takes that cluster away again, with everything in it
	@.tools/install.sh packages
	@.tools/run.sh node e2e/cluster.ts down

test: ## everything that proves the project, ending in `N passed, N failed`
	@.tools/install.sh packages
	@.tools/install.sh debian $(KMS) $(CLIENTS)
	@.tools/install.sh clients
	@.tools/install.sh debian --optional $(CLUSTER)
	@.tools/install.sh cluster
	@.tools/install.sh oldest-kubernetes
	@.tools/install.sh prometheus
	@.tools/run.sh node .tools/prove.ts test

check: ## format, lint, types, dead exports, generated files, unit tests; under a minute
	@.tools/install.sh packages
	@.tools/run.sh node .tools/prove.ts check

soak: ## the long forms: crash, mutation, fuzz and load runs
	@.tools/install.sh packages
	@.tools/install.sh debian $(KMS) $(CLIENTS)
	@.tools/install.sh clients
	@.tools/install.sh debian --optional $(CLUSTER)
	@.tools/install.sh cluster
	@.tools/install.sh oldest-kubernetes
	@.tools/install.sh prometheus
	@.tools/run.sh node .tools/prove.ts soak

bench: ## encrypted against plain: MB/s and requests/s at three sizes, beside the raw speed of AES-256-GCM and MD5
	@.tools/install.sh packages
	@.tools/install.sh debian --optional $(KMS)
	@.tools/run.sh node e2e/bench/main.ts

image: ## the container image of data plane and operator, as an OCI archive in dist/, without a container engine (NAME=registry/repository:tag)
	@.tools/install.sh packages
	@"$$(.tools/node.sh --pinned)/node" --disable-warning=ExperimentalWarning .tools/image/main.ts $(if $(NAME),--name $(NAME)) $(if $(REVISION),--revision $(REVISION))

# SPDX-License-Identifier: Apache-2.0
# Every goal does its own set-up and needs Go. Tests need gcc as well, those with guests apt, cli-checks iproute2, util-linux and jq.
# `make` lists the goals.

GO      ?= go
BIN     := bin/wsk-xdp
GOTEST_FLAGS ?=

.DEFAULT_GOAL := help
.PHONY: help build install uninstall demo demo-daemon test repeat check fmt vet lint generated bench fuzz soak cli-checks faults wire relay test-vm test-vm-full clean

help: ## list the goals
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/wsk-xdp, a static binary
	@CGO_ENABLED=0 $(GO) build -trimpath -o $(BIN) ./cmd/wsk-xdp

# install.sh reads them. A binary for another machine can't write its pages here: build, copy and install it there.
export PREFIX DESTDIR

# What `make build` has left is installed as it is, since Go is not in the PATH that sudo gives.
install: $(BIN) ## put binary, manual pages and completion for bash, zsh and fish under PREFIX (/usr/local), within DESTDIR
	@scripts/install.sh $(BIN)

$(BIN):
	@$(MAKE) --no-print-directory build

uninstall: ## take them away again
	@scripts/install.sh --remove

demo: build ## a laboratory, datagrams over AF_XDP, what arrived, a table: some seconds; no root needed, as root an AF_XDP receiver judges as well
	@$(BIN) demo

demo-daemon: build ## the daemon as a user of its own, programs of three users, both directions; as root
	@$(BIN) demo --daemon

test: ## all tests with the race detector; as an ordinary user in a user and network namespace of its own
	@scripts/test.sh $(GOTEST_FLAGS)

repeat: ## all tests ROUNDS (default 20) times, the first BESIDE (default 5) of them beside two busy processes; hours
	@scripts/repeat.sh $${ROUNDS:-20} $${BESIDE:-5} $(GOTEST_FLAGS)

check: fmt vet lint generated ## format, vet, lint, generated code: what needs no test to be seen

fmt:
	@out=$$(gofmt -l $$(git ls-files --cached --others --exclude-standard '*.go')); \
	  [ -z "$$out" ] || { echo "gofmt would change:"; echo "$$out"; exit 1; }

vet:
	@$(GO) vet ./...
	@GOOS=windows $(GO) vet ./frame/... ./wsk ./wsk/ipc ./wsk/policy ./wsk/wsktest
	@GOARCH=arm64 $(GO) vet ./...

lint:
	@$(GO) tool staticcheck ./...

generated:
	@scripts/generate.sh --check

bench: ## rates, latency, receiving, footprint and Go benchmarks, against the baseline in docs/bench (BASELINE=1: write it)
	@scripts/bench.sh

fuzz: ## every fuzz target for FUZZTIME (default 20s) each
	@scripts/fuzz.sh $${FUZZTIME:-20s}

soak: ## the storm tests again and again for SOAK (default 10m)
	@scripts/soak.sh $${SOAK:-10m}

cli-checks: ## what the command line promises, twelve checks between two namespaces, each with its figure; as root, ten minutes, CHECKS="1 4" some of them
	@GO='$(GO)' scripts/cli-checks.sh $(CHECKS)

faults: ## break links, devices, routes, processes … under load and account for every datagram; as root, RECORD=1 writes docs/faults.md
	@$(GO) run ./testenv/cmd/faults $(if $(RECORD),-record docs/faults.md) $(FAULTS_FLAGS)

wire: ## the same frames, hostile ones too, to WSK over XDP and to the kernel's sockets: WIRE of them (default 100000); as root
	@$(GO) run ./testenv/cmd/wire -n $${WIRE:-100000} $(WIRE_FLAGS)

relay: ## blast over a path that loses, doubles, reorders, delays and changes by a script, to recv: RELAY packets (default 1000000), every engine; an hour
	@WSKXDP_RELAY=$${RELAY:-1000000} $(GO) test -count=1 -timeout 3h -v -p 1 -run 'Test(Relay|RecvXDP|EveryEngineReceives)$$' ./cmd/wsk-xdp ./cmd/wsk-xdp/internal/bench/receive $(RELAY_FLAGS)

test-vm: ## tests in guests with kernels from 5.10 on and with NICs that do zero-copy; under 20 minutes, QEMU is fetched
	@GO='$(GO)' scripts/vm/suite $(VM_FLAGS)

test-vm-full: ## all of it: every package on every kernel, every NIC on every kernel; an hour or so
	@GO='$(GO)' scripts/vm/suite -full $(VM_FLAGS)

clean: ## remove what was built here
	@rm -rf bin

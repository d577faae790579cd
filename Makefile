# Every target installs or builds what it needs; `make help` lists them.
GO      ?= go
TOOLS   := $(CURDIR)/bin/tools
LINT    := $(TOOLS)/golangci-lint-v2.15.0
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo devel)
FUZZ    ?= 10s
# The pictures that the documents use; all of them with PICTURES=.
PICTURES ?= ^(deployment-(waiting|failed-check|rolled-back)-light|deployment-verified-dark|services-light|deployment-waiting-phone)$$

.DEFAULT_GOAL := help
.PHONY: help build demo check fmt lint test fuzz bench golden console-images tools clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-8s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## build bin/greengate
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags "-s -w -X main.version=$(VERSION)" -o bin/greengate ./cmd/greengate

demo: build ## tell the main job under load: four versions, two of them caught
	./bin/greengate demo

check: fmt lint test ## what CI runs: formatting, lint with the import walls, all tests with the race detector

fmt: $(LINT) ## complain about files that are not formatted
	$(LINT) fmt --diff

lint: $(LINT) ## static checks and import walls
	$(LINT) run ./...

test: build ## all tests with the race detector
	./scripts/test

fuzz: ## each fuzz test for FUZZ (10s)
	./scripts/fuzz $(FUZZ)

bench: build ## benchmarks, with the figures that docs/performance.md quotes
	$(GO) test -run '^$$' -bench . -benchmem ./internal/... ./test/bench/...

golden: ## rewrite golden files; commit only differences that you understand
	$(GO) test ./internal/deploy/... ./internal/cli/... ./internal/config/... ./internal/appspec/... ./internal/awsapi/... ./internal/scenario/... ./internal/console -update

console-images: ## draw each state of the console's pages into docs/img (needs chromium)
	$(GO) test ./internal/console -count 1 -run 'TestBrowser_pages' -images $(CURDIR)/docs/img -picture '$(PICTURES)'

tools: $(LINT) ## install the pinned linter into bin/tools

$(LINT):
	@mkdir -p $(TOOLS)
	GOBIN=$(TOOLS) $(GO) install github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0
	mv $(TOOLS)/golangci-lint $(LINT)

clean: ## remove what was built
	rm -rf bin

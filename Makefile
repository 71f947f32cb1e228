# What one does with this repository. make alone prints this list.
GOTEST  ?= go test
PROGRAM := go run ./cmd/kbnt
# What is tried with other people's programs, under the build tag integration.
OTHERS  := ./integration/... ./cmd/kbnt ./infrastructure/postgres/... ./infrastructure/avro/... ./infrastructure/kubevirt/... ./infrastructure/libvirt/... ./monitoring/...

.DEFAULT_GOAL := help
.PHONY: help run demo test check format lint race generate integration e2e bench image deploy clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z0-9]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: ## start the whole platform on this machine: Kafka, the functions, a hypervisor
	$(PROGRAM)

demo: ## send four requests through the platform and show all their steps
	$(PROGRAM) demo

test: ## run all tests
	$(GOTEST) ./...

check: format lint race ## what a change has to pass: format, vet, staticcheck, tests under -race

format:
	@unformatted=$$(gofmt -l .); test -z "$$unformatted" || { echo "gofmt -w is needed for:"; echo "$$unformatted"; exit 1; }

lint:
	go vet ./...
	go vet -tags integration $(OTHERS)
	go vet -tags e2e ./integration/e2e
	go tool staticcheck ./...
	go tool staticcheck -tags integration $(OTHERS)
	go tool staticcheck -tags e2e ./integration/e2e

# Generated text (the table in README.md, goldens) is compared by tests.
race:
	$(GOTEST) -race -shuffle=on ./...

generate: ## rewrite what is made from code: the table of variables in README.md
	go generate ./...

e2e: ## try the platform in the cluster that KUBECONFIG names
	$(GOTEST) -count=1 -v -timeout 40m -tags e2e ./integration/e2e

# The manifests are tested by a module of their own.
integration: ## try it with other people's programs, and the proofs: Kafka, PostgreSQL, libvirt, Knative, promtool
	$(GOTEST) -count=1 -v -tags integration $(OTHERS)
	cd eventing/manifesttest && go vet . && $(GOTEST) -count=1 -v .

bench: ## measure
	go test -run '^$$' -bench . -benchmem ./...
	go test -run '^$$' -bench . -benchmem -tags integration ./infrastructure/postgres

image: ## build and push the image of all functions; needs func and REGISTRY=...
	config/func.sh image

deploy: ## run that image as intake, provision and notify; needs func, kubectl and a cluster
	config/func.sh deploy

clean: ## remove what was built and the data of make run
	rm -rf bin .kbnt

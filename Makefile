# What can be done here. The default target says so.
.DEFAULT_GOAL := help
.PHONY: help demo test build lint fmt bench bench-long benchmarks timings pages sim faults faults-long faults-cluster faults-mutants clean

# packages to test: make test PKG=./policy/...
PKG ?= ./...
GOLANGCI := go run github.com/golangci/golangci-lint/v2/cmd/golangci-lint@v2.15.0

help: ## say what can be done
	@echo 'make <target>:'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "  %-14s %s\n", $$1, $$2}'

demo: build ## run everything on this machine, with people of our own: prints the addresses to open
	@./bin/matricula demo

test: ## run every test with the race detector; REQUIRE=slapd,nats,chromium makes a missing server a failure
	@go run ./testkit/summary -race -parallel 4 -timeout 10m $(PKG)

build: ## build bin/matricula
	@go build -o bin/matricula ./cmd/matricula

lint: ## look for mistakes without running anything
	@test -z "$$(gofmt -l .)" || { echo 'not formatted:'; gofmt -l .; exit 1; }
	@go vet ./...
	@go vet -tags failpoints ./cmd/...
	@cd bench && go vet ./...
	@$(GOLANGCI) run

fmt: ## format the Go files
	@gofmt -w .

bench: ## measure beside what one would use instead, into bench/RESULTS.md and docs/capacity.md; the first run builds the others too; ROWS=latency,loops,… prints parts and keeps nothing
	@cd bench && go test ./table -run '^TestTable$$' -count=1 -v -timeout 30m -args -results=.. $(if $(ROWS),-rows=$(ROWS)) $(if $(SCALE),-scale=$(SCALE))

bench-long: ## the same at full size (20,000 people, growth up to 100,000 accounts), in about forty minutes; it says how far it is, and what it has so far lies in bench/partial.md
	@cd bench && go test ./table -run '^TestTable$$' -count=1 -v -timeout 0 -args -results=.. -long

benchmarks: ## run the benchmarks of the packages
	@go test -run '^$$' -bench . -benchmem $(PKG)

timings: ## take 2,000 answers of each form that a password is shown in: who exists must not show in their time
	@go test ./portal -run '^TestT18AnswersTakeTheSameTime$$' -count=1 -v -args -answers=2000

pages: ## look at every page of the portal in Chromium: three languages, light and dark, 320 and 1280 pixels; SHOTS=folder keeps a picture of each
	@PORTAL_SCREENSHOTS=$(abspath $(SHOTS)) PORTAL_FULL=1 REQUIRE=chromium go test ./portal -run '^TestPagesInChromium$$' -count=1 -v -timeout 30m

sim: ## play SEEDS=n seeds of the simulation (2000), or one again and tell its story: SEED=n
	@go test ./account -run '^(TestSim|TestAnyOrderEndsInTheSameEntry)$$' -count=1 -v -timeout 10m -args -seeds=$(or $(SEEDS),2000) -seed=$(or $(SEED),0)

faults: ## kill, pause, fill and cut a whole installation, and check from outside; SEED=n plays one again, SCENARIO=name one of docs/faults.md
	@cd bench && REQUIRE=$(or $(REQUIRE),slapd,nats) go test ./faults -run '^Test(Faults|Every|Invitation|Starved)' -count=1 -v -timeout 25m -args -sim=$(if $(SCENARIO),0,$(or $(SEEDS),2000)) -seed=$(or $(SEED),0) -scenario='$(SCENARIO)'

faults-long: ## the same for MINUTES=n, a new seed each time
	@cd bench && REQUIRE=$(or $(REQUIRE),slapd,nats) go test ./faults -run '^TestFaults$$' -count=1 -v -timeout 0 -args -seed=$(or $(SEED),0) -minutes=$(or $(MINUTES),60)

faults-cluster: ## three brokers instead of one: one killed at a time, one cut off at a time (root), leaders first; SEED=n
	@cd bench && go test ./faults -run '^TestFaults$$' -count=1 -v -timeout 15m -args -seed=$(or $(SEED),0) -scenario='one of three,one cut off'

faults-mutants: ## take out one safeguard after the other: the rig must see each within a minute
	@cd bench && REQUIRE=$(or $(REQUIRE),slapd,nats) go test ./faults -run '^TestTakenOutSafeguardsAreSeen$$' -count=1 -v -timeout 10m

clean: ## remove what was built
	@rm -rf bin

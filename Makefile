# postern: build, test, check. Needs Go only, save where a target says more.

GO      ?= go
VERSION ?= $(shell sh packaging/version.sh 2>/dev/null || echo devel)
COMMIT  ?= $(shell git rev-parse --short=12 HEAD 2>/dev/null)
LDFLAGS  = -s -w -X postern/internal/cli.version=$(VERSION) -X postern/internal/cli.commit=$(COMMIT)
BIN      = bin/
COMMANDS = ./cmd/...
STATICCHECK = honnef.co/go/tools/cmd/staticcheck@v0.8.2

.PHONY: all build demo test check lint-man fuzz integration vm containers bench bench-go package install clean

all: build

build: ## static binaries in bin/
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) $(COMMANDS)

demo: ## the main job on loopback, for all to see
	$(GO) run ./internal/demo

test: ## all hermetic tests; -race needs gcc
	$(GO) test -race -shuffle=on ./...

check: lint-man ## formatting, vet, staticcheck; needs mandoc
	@test -z "$$(gofmt -l cmd internal)" || { gofmt -l cmd internal; echo "gofmt: the files above need it"; exit 1; }
	$(GO) vet ./...
	$(GO) vet -tags integration,containers,vm ./...
	$(GO) run $(STATICCHECK) -tags integration,containers,vm ./...
	$(GO) mod verify
	$(GO) mod tidy -diff

lint-man:
	mandoc -T lint -W warning man/*.[0-9]

fuzz: ## every fuzz target for 20 s each
	sh packaging/fuzz.sh 20s

integration: ## real servers and callers; root on Debian, see .ci/run for the packages
	$(GO) test -tags integration -count=1 ./internal/integration

containers: ## builds and runs packaging/Dockerfile and packaging/compose; root on Debian, podman-compose, php-cli, busybox-static
	$(GO) test -tags containers -count=1 ./internal/containers

vm: ## the AppArmor profile in a virtual machine; root on Debian, qemu-system-x86, apparmor, its mirror
	$(GO) test -tags vm -count=1 -run TestAppArmor ./internal/vm

bench: ## ours beside other mail senders; root on Debian, gcc, its mirror
	$(GO) run ./internal/bench

bench-go: ## Go benchmarks with allocations
	$(GO) test -run '^$$' -bench . -benchmem ./...

package: ## deb, rpm and apk in dist/, the same octets each time; ARCH=arm64 for another machine
	sh packaging/package.sh

PREFIX ?= /usr/local
install: build ## binaries, names and man pages below $(DESTDIR)$(PREFIX)
	install -d $(DESTDIR)$(PREFIX)/sbin $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib $(DESTDIR)$(PREFIX)/share/man/man1 \
	           $(DESTDIR)$(PREFIX)/share/man/man5 $(DESTDIR)$(PREFIX)/share/man/man8
	install -m 755 bin/sendmail $(DESTDIR)$(PREFIX)/sbin/sendmail
	ln -sf ../sbin/sendmail $(DESTDIR)$(PREFIX)/lib/sendmail
	ln -sf ../sbin/sendmail $(DESTDIR)$(PREFIX)/bin/mailq
	ln -sf ../sbin/sendmail $(DESTDIR)$(PREFIX)/bin/newaliases
	install -m 644 man/*.1 $(DESTDIR)$(PREFIX)/share/man/man1
	install -m 644 man/*.5 $(DESTDIR)$(PREFIX)/share/man/man5
	install -m 644 man/*.8 $(DESTDIR)$(PREFIX)/share/man/man8

clean:
	rm -rf bin dist

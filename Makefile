# SPDX-License-Identifier: MIT
# scale-agent: `make help` lists the targets. Everything is built below build/.

# -- what packagers and people may set ------------------------------------------------------------
CC ?= cc
# An instrumented program's checks take its time, not its code, which -O1 compiles in two thirds of
# the time. What GCC warns of then is partly guessed: lint, with -O2, has the say.
CFLAGS ?= $(if $(filter-out fuzzer%,$(SANITIZE)),-O1 -Wno-maybe-uninitialized -Wno-format-truncation,-O2) -g
CPPFLAGS ?=
LDFLAGS ?=
PREFIX ?= /usr/local
BINDIR ?= $(PREFIX)/bin
LIBEXECDIR ?= $(PREFIX)/lib/runner-agent
SYSTEMDUNITDIR ?= $(PREFIX)/lib/systemd/system
MANDIR ?= $(PREFIX)/share/man
BASHCOMPLETIONDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHCOMPLETIONDIR ?= $(PREFIX)/share/zsh/site-functions
DESTDIR ?=
SANITIZE ?=
V ?=
JOBS ?= 1
FAULTS ?=
FUZZ_SECONDS ?= 60
PACKAGE ?=
SEEDS ?= 300
FIRST_SEED ?= 1
SEED ?=
CHECKS ?=
BURST ?=
TRY ?=
host_arch := $(patsubst aarch64,arm64,$(shell uname -m))
ARCH ?= $(host_arch)

comma := ,
build := build$(if $(SANITIZE),/$(subst $(comma),-,$(SANITIZE)))
obj := $(build)/obj
bin := $(build)/bin
python := build/venv/bin/python

q := $(if $(V),,@)
say = $(if $(V),,@printf '  %-8s%s\n' $(1) $(2);)

# -- flags ------------------------------------------------------------------------------------------
warnings := -Wall -Wextra -Wformat=2 -Wshadow -Wstrict-prototypes -Wmissing-prototypes \
	-Wold-style-definition -Wpointer-arith -Wcast-align -Wwrite-strings -Wundef -Wvla \
	-Wimplicit-fallthrough -Wswitch-enum -Wdate-time -Wnull-dereference
# There, variables without an initial value are never zero by luck (GCC 12, clang).
pattern = $(shell $(CC) -ftrivial-auto-var-init=pattern -fsyntax-only -x c /dev/null 2>/dev/null && \
	echo -ftrivial-auto-var-init=pattern)
sanitize := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-sanitize-recover=all -fno-omit-frame-pointer $(pattern))
version := $(shell git describe --always --abbrev=12 --dirty 2>/dev/null || echo unknown)

# libcrypto has the most symbols: found first, they cost the least time at each start.
scaler_packages := openssl libcurl libcjson expat
agent_packages := $(scaler_packages) libsystemd
needs_packages := $(filter-out clean help mutants install-packages build package demo check test test-build valgrind lint \
	format fuzz fuzz-coverage fuzz-bite bench bench-vm upload deploy rollback stack destroy ami packer test-packer test-emulators test-vm,\
	$(or $(MAKECMDGOALS),all))
ifneq ($(needs_packages),)
pkg := $(shell pkg-config --print-errors --exists $(agent_packages) 2>&1 || echo missing)
ifneq ($(pkg),)
$(error Libraries are missing: $(pkg). `make install-packages` installs them (Debian and Ubuntu))
endif
endif
ours := -std=gnu17 -iquote include -iquote scaler -iquote runner-agent -D_GNU_SOURCE $(warnings) \
	$(shell pkg-config --cflags $(agent_packages) 2>/dev/null) -fvisibility=hidden \
	-ffunction-sections -fdata-sections $(sanitize)
link := -Wl,--gc-sections -Wl,--as-needed -Wl,-z,relro -Wl,-z,now $(sanitize) $(LDFLAGS)
scaler_libs = $(shell pkg-config --libs $(scaler_packages))
agent_libs = $(shell pkg-config --libs $(agent_packages))

# -- sources ----------------------------------------------------------------------------------------
lib_sources := $(wildcard lib/*/*.c)
scaler_sources := $(wildcard scaler/*.c scaler/*/*.c)
agent_sources := $(wildcard runner-agent/*.c)
starter_sources := $(wildcard runner-agent/starter/*.c)
unit_sources := $(wildcard tests/unit/test_*.c)
unit_helpers := $(filter-out $(unit_sources),$(wildcard tests/unit/*.c))
fuzz_sources := $(wildcard tests/fuzz/fuzz_*.c)
fuzz_helpers := $(filter-out $(fuzz_sources),$(wildcard tests/fuzz/*.c))
objects = $(patsubst %.c,$(obj)/%.o,$(1))

lib_archive := $(obj)/lib.a
scaler_archive := $(obj)/scaler.a
agent_archive := $(obj)/agent.a
starter_archive := $(obj)/starter.a
fuzz_archive := $(obj)/fuzz.a
unit_programs := $(patsubst tests/unit/%.c,$(build)/unit/%,$(unit_sources))

all: $(bin)/scaler $(bin)/runner-agent $(bin)/starter ## the programs, in build/bin

$(bin)/scaler: $(obj)/scaler/main.o $(scaler_archive) $(lib_archive)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) -o $@ $^ $(link) $(scaler_libs)

$(bin)/runner-agent: $(obj)/runner-agent/main.o $(agent_archive) $(starter_archive) $(lib_archive)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) -o $@ $^ $(link) $(agent_libs)

# On the way from the boot to the job, so nothing but libc.
$(bin)/starter: $(obj)/runner-agent/starter/main.o $(starter_archive) $(lib_archive)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) -o $@ $^ $(link)

$(lib_archive): $(call objects,$(lib_sources))
$(scaler_archive): $(call objects,$(filter-out scaler/main.c,$(scaler_sources)))
$(agent_archive): $(call objects,$(filter-out runner-agent/main.c,$(agent_sources)))
$(starter_archive): $(call objects,$(filter-out %/main.c,$(starter_sources)))
$(fuzz_archive): $(call objects,$(fuzz_helpers))
$(lib_archive) $(scaler_archive) $(agent_archive) $(starter_archive) $(fuzz_archive):
	$(q)rm -f $@
	$(call say,AR,$@)$(AR) rcs $@ $^

# What the compiler warned of stays beside the object, for lint.
compile = $(CC) $(ours) $(CPPFLAGS) $(CFLAGS) -MMD -MP
$(obj)/%.o: %.c $(obj)/flags
	@mkdir -p $(@D)
	$(call say,CC,$<)$(compile) -c -o $@ $< 2>$(@:.o=.warnings); \
		status=$$?; cat $(@:.o=.warnings) >&2; exit $$status

# Everything is compiled again when a flag changes.
flags := $(compile) $(link)
$(obj)/flags: force
	@mkdir -p $(@D)
	@printf '%s' '$(subst ','\'',$(flags))' | cmp -s - $@ || printf '%s' '$(subst ','\'',$(flags))' >$@

# Only the two mains know the version, so that a commit does not compile everything again.
mains := $(obj)/scaler/main.o $(obj)/runner-agent/main.o
$(mains): private override CPPFLAGS += -DVERSION='"$(version)"'
$(mains): $(obj)/version
$(obj)/version: force
	@mkdir -p $(@D)
	@echo '$(version)' | cmp -s - $@ || echo '$(version)' >$@

-include $(wildcard $(obj)/*/*.d $(obj)/*/*/*.d $(obj)/*/*/*/*.d)

# -- for Lambda -------------------------------------------------------------------------------------
# The scaler as it runs there: compiled again with static libraries of its own, from scaler/zip. C
# needs no tables for exceptions, and nobody sees a core there, so these stay out.
# MAKEFLAGS= keeps what this make was told (CFLAGS=...) from the libraries' own makefiles.
triplet := $(patsubst arm64,aarch64,$(ARCH))-linux-gnu
libraries := $(CURDIR)/build/deps/$(ARCH)/lib/pkgconfig
known_arch = $(if $(filter x86_64 arm64,$(ARCH)),,\
	$(error no architecture named $(ARCH); there are: ARCH=x86_64 ARCH=arm64))
safe := -O2 -fPIE -fstack-protector-strong
portable = SANITIZE= CC=$(triplet)-gcc AR=$(triplet)-ar \
	CFLAGS='$(safe)' CPPFLAGS='-D_FORTIFY_SOURCE=2' \
	LDFLAGS='-pie -s -Wl,--build-id=none'
for_lambda = build=build/zip/$(ARCH) $(portable) CFLAGS='$(safe) -fno-asynchronous-unwind-tables' \
	agent_packages='$(scaler_packages)'

build: ## build/scaler-ARCH.zip for Lambda (ARCH=x86_64 or arm64; this machine's)
	$(known_arch)
	$(q)tests/prepare build-$(ARCH)
	$(q)scaler/zip/fetch
	$(q)MAKEFLAGS= scaler/zip/dependencies $(ARCH)
	$(q)PKG_CONFIG_LIBDIR=$(libraries) $(again) $(for_lambda) build/zip/$(ARCH)/bin/scaler
	$(q)scaler/zip/pack build/zip/$(ARCH)/bin/scaler build/scaler-$(ARCH).zip

# -- for the machine --------------------------------------------------------------------------------
# The agent as images have it: linked with the same static libraries, and with a small libsystemd.
machine := build/package/$(ARCH)
machine_libraries := $(libraries):$(CURDIR)/build/deps/$(ARCH)-systemd/lib/pkgconfig
emulator = $(if $(filter-out $(host_arch),$(ARCH)),\
	qemu-$(firstword $(subst -, ,$(triplet)))-static -L /usr/$(triplet))
for_machine = build=$(machine) $(portable) emulator='$(emulator)' PREFIX=/usr \
	DESTDIR='$(CURDIR)/$(machine)/tree'
commit_time = $(or $(SOURCE_DATE_EPOCH),$(shell git log -1 --format=%ct 2>/dev/null))
package_version = $(shell runner-agent/package/version '$(version)' '$(commit_time)')

package: ## build/runner-agent-ARCH.deb and .rpm for the machine (ARCH=x86_64 or arm64; this machine's)
	$(known_arch)
	$(q)tests/prepare package-$(ARCH)
	$(q)scaler/zip/fetch
	$(q)scaler/zip/fetch runner-agent/package/pins
	$(q)MAKEFLAGS= scaler/zip/dependencies $(ARCH)
	$(q)runner-agent/package/libsystemd $(ARCH)
	$(q)rm -rf $(machine)/tree
	$(q)PKG_CONFIG_LIBDIR=$(machine_libraries) $(again) $(for_machine) install-agent
	$(q)runner-agent/package/pack $(ARCH) '$(package_version)' '$(commit_time)' $(machine)/tree

# -- into AWS ---------------------------------------------------------------------------------------
# Each is a script of its name; what is given as VARIABLE=value reaches it.
upload: ## scaler-ARCH.zip to S3 (BUCKET)
deploy: ## what was uploaded last to the functions of STACK (LAMBDA_FUNC_NAME), and wait
rollback: ## take the last deployment back
stack: ## create or update STACK (AMI, BUCKET, VPC, SUBNETS, STACK_KMS_KEY, HAND_OVER, ...: scaler/README.md); shows the changes and asks
destroy: ## delete STACK; shows what goes and asks
upload deploy rollback stack destroy:
	$(q)scaler/deploy/$@

ami: ## an image of a runner, with Packer (ARCH, DISTRIBUTION, PROFILE, SUBNET, PROXY, KMS_KEY)
	$(q)packer/ami

# -- tests ------------------------------------------------------------------------------------------
$(build)/unit/%: $(obj)/tests/unit/%.o $(call objects,$(unit_helpers)) $(scaler_archive) $(agent_archive) $(starter_archive) $(lib_archive)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) -o $@ $^ $(link) $(agent_libs) -lcmocka

# A test that follows NULL fails by itself, and is easier to read without looking first.
$(call objects,$(wildcard tests/unit/*.c)): private CPPFLAGS += -Wno-null-dereference

unit-programs: $(unit_programs)

# The simulation runs the handlers' own code in a world of its own: tests/sim.
$(bin)/sim: $(call objects,$(wildcard tests/sim/*.c)) $(scaler_archive) $(lib_archive)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) -o $@ $^ $(link) $(scaler_libs)

sim-program: $(bin)/sim

sim: $(bin)/sim ## SEEDS=300 worlds with faults (FIRST_SEED=1, FAULTS=NAME,...); SEED=N tells the story of one
	$(q)$(bin)/sim $(if $(SEED),--seed $(SEED),--seeds $(SEEDS) --first $(FIRST_SEED)) \
		$(if $(FAULTS),--faults $(FAULTS)) $(if $(CHECKS),--checks $(CHECKS))

sim-bite: ## whether the simulation fails without each rule of the scaler; some minutes
	$(q)tests/sim/bite

bursts: $(bin)/sim ## many jobs at once against the limits of GitHub and AWS; BURST=N one of the table
	$(q)$(bin)/sim --burst$(if $(BURST),=$(BURST))

drought: $(bin)/sim ## many jobs at once, and only the last type of the ladder has capacity
	$(q)$(bin)/sim --drought

limits: $(bin)/sim ## many jobs at once against limits of machines; LIMITS=N worlds a run
	$(q)$(bin)/sim --limits$(if $(LIMITS),=$(LIMITS))

fuzz_programs := $(patsubst tests/fuzz/%.c,$(build)/fuzz/%,$(fuzz_sources))
$(build)/fuzz/%: $(obj)/tests/fuzz/%.o $(fuzz_archive) $(scaler_archive) $(agent_archive) $(starter_archive) $(lib_archive)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) -o $@ $^ $(link) -fsanitize=fuzzer $(agent_libs)

fuzz-programs: $(fuzz_programs)

bench_programs := $(build)/bench/peer $(build)/bench/runner
$(build)/bench/peer: $(call objects,$(wildcard tests/bench/peer/*.c))
$(build)/bench/runner: $(call objects,tests/bench/runner.c)
$(bench_programs):
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) -o $@ $^ $(link) $(scaler_libs)

# Static: no program can start in less.
$(build)/bench/floor: $(call objects,tests/bench/reference/floor.c)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) -static -o $@ $^

# The same with the loader and libc that ours has, to see what those cost.
$(build)/bench/floor-dynamic: $(call objects,tests/bench/reference/floor.c)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) -o $@ $^ $(link)

bench-programs: $(bench_programs) $(build)/bench/floor $(build)/bench/floor-dynamic

# The runner of make bench-vm, for any machine.
$(build)/bench/vm-runner: $(call objects,tests/vm/bench-runner.c)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) -static -o $@ $^

# These prepare the machine first, and only then look for libraries: hence a second make.
again = $(MAKE) --no-print-directory
in_parallel = $(if $(findstring jobserver,$(MAKEFLAGS)),,-j$(shell nproc))

check: ## lint what changed, run the unit tests and a few flow tests of each stage; a minute
	$(q)tests/prepare lint test
	$(q)$(again) $(in_parallel) ONLY="$$(tests/changed | tr '\n' ' ')" lint-objects lint-sources
	$(q)$(again) $(in_parallel) all unit-programs
	$(q)$(python) -m tests.run --build $(build) --quick

test: ## every test (SANITIZE=address,undefined for instrumented programs); ends with a count
	$(q)tests/prepare test
	$(q)$(again) $(in_parallel) all unit-programs sim-program
	$(q)$(python) -m tests.run --build $(build)

# Of the unit tests, those whose code is mostly a library's run with the zip's libraries as well.
library_tests := http_curl github_token webhook_signature json ec2_xml
test-build: override ARCH := $(host_arch)
test-build: ## make build and make package for both architectures, and their tests; takes minutes
	$(q)tests/prepare test-build
	$(q)$(again) $(in_parallel) build ARCH=x86_64
	$(q)$(again) $(in_parallel) build ARCH=arm64
	$(q)$(again) $(in_parallel) package ARCH=x86_64
	$(q)$(again) $(in_parallel) package ARCH=arm64
	$(q)PKG_CONFIG_LIBDIR=$(libraries) $(again) $(in_parallel) $(for_lambda) \
		$(library_tests:%=build/zip/$(ARCH)/unit/test_%)
	$(q)$(python) -m pytest -q -c tests/pyproject.toml --rootdir=tests tests/zip

packer: ## the Packer that packer/ is tested with, and its plugin for AWS, in build/tools; takes minutes
	$(q)tests/prepare test-packer
	$(q)tests/packer/tools

test-packer: packer ## packer/ as Packer reads it, and make ami
	$(q)$(python) -m pytest -q -c tests/pyproject.toml --rootdir=tests tests/packer

test-emulators: ## the functions and the agent under AWS's own emulators, built from Go modules (TRY=1: or skipped)
	$(q)tests/prepare test
	$(q)tests/emulators/tools $(if $(TRY),--try)
	$(q)$(again) $(in_parallel) all
	$(q)$(python) -m pytest -q -c tests/pyproject.toml --rootdir=tests tests/emulators

test-vm: ## the image's scripts, and their machines in QEMU (needs root, no KVM; PACKAGE of the agent); takes minutes
	$(q)tests/prepare test-vm
	$(q)$(again) $(in_parallel) all
	$(q)$(if $(PACKAGE),,$(again) $(in_parallel) package)
	$(q)PACKAGE=$(or $(PACKAGE),build/runner-agent-$(ARCH).deb) tests/vm/image
	$(q)PACKAGE=$(or $(PACKAGE),build/runner-agent-$(ARCH).deb) tests/vm/image hosted
	$(q)$(python) -m pytest -q -c tests/pyproject.toml --rootdir=tests tests/ami tests/vm

valgrind: ## the unit tests under valgrind
	$(q)tests/prepare test
	$(q)$(again) $(in_parallel) unit-programs
	$(q)$(python) -m tests.run --build $(build) --valgrind

mutants: ## mistakes that unit tests and simulation let pass, and a score of each file (MUTANTS=12 a file; FILES="FILE...")
	$(q)tests/prepare test mutants
	$(q)$(python) -m tests.mutants $(if $(MUTANTS),--mutants $(MUTANTS)) $(FILES)

fuzz: ## each fuzz target for FUZZ_SECONDS=60, the same way each time; FUZZ_SEED=0: another way
	$(q)tests/prepare fuzz
	$(q)$(again) $(in_parallel) CC=clang SANITIZE=fuzzer-no-link,address,undefined fuzz-programs
	$(q)$(python) -m tests.run_fuzz --build build/fuzzer-no-link-address-undefined \
		--seconds $(FUZZ_SECONDS) $(if $(FUZZ_SEED),--seed $(FUZZ_SEED))

fuzz-coverage: ## the same, and which lines of each source file the targets reach
	$(q)tests/prepare fuzz
	$(q)$(again) $(in_parallel) CC=clang SANITIZE=fuzzer-no-link LDFLAGS=-fprofile-instr-generate \
		CFLAGS="-O1 -g -fprofile-instr-generate -fcoverage-mapping" fuzz-programs
	$(q)$(python) -m tests.run_fuzz --build build/fuzzer-no-link --seconds $(FUZZ_SECONDS) --coverage

fuzz-bite: ## whether each oracle of fuzz_world finds a line that is wrong; some minutes
	$(q)tests/prepare fuzz
	$(q)tests/fuzz/bite

bench: ## speed and memory beside references, as a table, build/bench.json and build/bench.svg
	$(q)tests/prepare test
	$(q)$(again) all bench-programs sim-program
	$(q)$(again) build package
	$(q)$(python) -m tests.bench --build $(build) --scaler build/zip/$(ARCH)/bin/scaler \
		--agent build/package/$(ARCH)/bin/runner-agent

bench-vm: ## kernel to runner, stock Debian and ours, in QEMU (needs root; RUNS=5; WITHOUT="MEASURE..." or all; PROFILES=yes)
	$(q)tests/prepare test-vm
	$(q)$(again) all $(build)/bench/vm-runner
	$(q)$(again) package
	$(q)PACKAGE=build/runner-agent-$(ARCH).deb tests/vm/image
	$(q)for kind in $(if $(PROFILES),minimal hosted,stock); do \
		PACKAGE=build/runner-agent-$(ARCH).deb tests/vm/image $$kind || exit; done
	$(q)BUILD=$(build) PYTHONPATH=tests $(python) -m vm.bench $(if $(RUNS),--runs $(RUNS)) \
		$(if $(WITHOUT),--measures $(WITHOUT)) $(if $(PROFILES),--profiles)

c_files := $(sort $(wildcard include/*/*.h lib/*/*.[ch] scaler/*.[ch] scaler/*/*.[ch] \
	runner-agent/*.[ch] runner-agent/*/*.[ch] tests/*/*.[ch] tests/*/*/*.[ch]))
tidy_files := $(filter-out tests/%,$(filter %.c,$(c_files)))
scripts := ami/install ami/common.sh ami/checks.sh ami/lookups.sh ami/company.sh $(wildcard ami/steps/*) \
	$(addprefix ami/files/usr/lib/scale-agent/,grow-root launch-key instance-store first-devices read-runner swap-file) \
	$(addprefix tests/vm/,root enter image guest/store-model guest/make-stock bench-user-data) $(wildcard tests/vm/acceptance/*) $(addprefix tests/vm/guest/hosted/,job-started.sh job-completed.sh setup) scaler/zip/fetch scaler/zip/dependencies $(wildcard scaler/deploy/*) packer/ami \
	$(addprefix runner-agent/package/,libsystemd version pack deb rpm) tests/prepare tests/changed tests/packer/tools tests/emulators/tools .ci/run \
	scaler/completion/bash
ruff := --quiet --config tests/pyproject.toml tests tests/sim/bite tests/fuzz/bite scaler/zip/pack

lint: ## warnings as errors, includes, clang-format, clang-tidy, ruff, shellcheck, cfn-lint
	$(q)tests/prepare lint
	$(q)$(again) $(in_parallel) lint-objects lint-sources

lint-objects: $(call objects,$(filter %.c,$(c_files)))
	@found=$$(cat $(^:.o=.warnings)) && [ -z "$$found" ] || { printf '%s\n' "$$found"; exit 1; }

# The whole list, or with ONLY="FILE..." those of these files that are in it.
lint_of = $(if $(filter undefined,$(origin ONLY)),$(1),$(filter $(ONLY),$(1)))
lint-sources:
	$(call say,TREE,'tests/lint_tree.py')$(python) -m tests.lint_tree
	$(call say,RULES,'tests/sim/bite')tests/sim/bite --match
	$(call say,RULES,'tests/fuzz/bite')tests/fuzz/bite --match
	$(call say,FORMAT,'clang-format')printf '%s\n' $(call lint_of,$(c_files)) | \
		xargs -r clang-format --dry-run -Werror
	$(call say,TIDY,'clang-tidy')found=$$(printf '%s\n' $(call lint_of,$(tidy_files)) | \
		xargs -r -P $(shell nproc) -n 4 sh -c 'clang-tidy --quiet "$$@" -- $(ours)' tidy 2>&1) || \
		{ echo "$$found"; exit 1; }
	$(call say,RUFF,'tests')build/venv/bin/ruff check $(ruff) && \
		build/venv/bin/ruff format --check $(ruff)
	$(call say,SHELL,'shellcheck')printf '%s\n' $(call lint_of,$(scripts)) | xargs -r shellcheck -x
	$(call say,CFN,'scaler/template.yaml')printf '%s\n' $(call lint_of,scaler/template.yaml) | \
		xargs -r build/venv/bin/cfn-lint

format: ## format C and Python in place
	$(q)tests/prepare lint
	clang-format -i $(c_files)
	build/venv/bin/ruff check --fix $(ruff); build/venv/bin/ruff format $(ruff)

schema: $(bin)/scaler ## write scaler/config/config.schema.json from the program's own tables
	$(q)$< check --schema >$(build)/config.schema.json
	$(q)mv $(build)/config.schema.json scaler/config/config.schema.json

# -- for people -------------------------------------------------------------------------------------
install-packages: ## install what a build needs (apt; with sudo when not root)
	$(q)tests/prepare build

demo: ## the life of JOBS=1 jobs on this machine, with FAULTS=capacity,throttle,duplicate
	$(q)tests/prepare demo
	$(q)$(MAKE) --no-print-directory all
	$(q)$(python) -m tests.cloud.demo --jobs $(JOBS) $(if $(FAULTS),--faults $(FAULTS))

# The programs write their own manual pages; the date is that of the source.
man_date = $(shell date -u -d '@$(commit_time)' +%F 2>/dev/null)
$(build)/man/scaler.1: $(bin)/scaler
$(build)/man/runner-agent.8: $(bin)/runner-agent
$(build)/man/%:
	@mkdir -p $(@D)
	$(call say,MAN,$@)$(emulator) $< --man | sed '1s/ "" / "$(man_date)" /' >$@

man_pages := $(build)/man/scaler.1 $(build)/man/runner-agent.8
man: $(man_pages) ## manual pages, in build/man

install: all man install-agent ## install programs, systemd units, manual pages, completion (DESTDIR, PREFIX)
	install -D -m 755 $(bin)/scaler $(DESTDIR)$(BINDIR)/scaler
	install -D -m 644 $(build)/man/scaler.1 $(DESTDIR)$(MANDIR)/man1/scaler.1
	install -D -m 644 scaler/completion/bash $(DESTDIR)$(BASHCOMPLETIONDIR)/scaler
	install -D -m 644 scaler/completion/zsh $(DESTDIR)$(ZSHCOMPLETIONDIR)/_scaler

units := $(wildcard $(addprefix runner-agent/*.,service timer socket slice))
install-agent: $(bin)/runner-agent $(bin)/starter $(build)/man/runner-agent.8
	$(q)install -D -m 755 $(bin)/runner-agent $(DESTDIR)$(BINDIR)/runner-agent
	$(q)install -D -m 755 $(bin)/starter $(DESTDIR)$(LIBEXECDIR)/starter
	$(q)for unit in $(units); do \
		sed 's|@bindir@|$(BINDIR)|g; s|@libexecdir@|$(LIBEXECDIR)|g' "$$unit" | \
		install -D -m 644 /dev/stdin "$(DESTDIR)$(SYSTEMDUNITDIR)/$${unit##*/}" || exit 1; done
	$(q)install -D -m 644 runner-agent/runner-agent-poweroff.conf \
		$(DESTDIR)$(SYSTEMDUNITDIR)/poweroff.target.d/runner-agent.conf
	$(q)install -D -m 644 $(build)/man/runner-agent.8 $(DESTDIR)$(MANDIR)/man8/runner-agent.8
	$(q)install -D -m 644 scaler/completion/bash $(DESTDIR)$(BASHCOMPLETIONDIR)/runner-agent

clean: ## remove what was built (packages fetched for the tests and the zip's libraries stay)
	rm -rf $(filter-out build/venv build/aws build/npm build/deps build/tools,$(wildcard build/*))

help: ## this list
	@grep -hE '^[a-z-]+:.*##' Makefile | sed -E 's/^([a-z-]+):.*## /\1\t/' | expand -t 18

force:
.PHONY: sim sim-bite sim-program bursts drought limits all build unit-programs fuzz-programs bench-programs check test test-build valgrind mutants fuzz fuzz-coverage fuzz-bite bench bench-vm lint \
	lint-objects lint-sources man format schema install-packages demo install install-agent package clean \
	help force \
	upload deploy rollback stack destroy ami packer test-packer test-emulators test-vm
.DELETE_ON_ERROR:
.SECONDARY:

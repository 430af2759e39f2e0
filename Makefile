.PHONY: demo up test check compiled docs bench soak mutants clean setup
PYTHON := .venv/bin/python
# Tests start many processes: without compiled modules each would compile the app anew.
unexport PYTHONDONTWRITEBYTECODE

demo: setup  ## a day and the next one, from files to Dataverse
	@$(PYTHON) -m local demo

up: setup  ## the local stack stays up
	@$(PYTHON) -m local up

# The longest files come first. Tests with processes of their own wait much: four workers keep two cores busy.
test: setup  ## everything that is checked; the tests of one file stay together
	@$(MAKE) --no-print-directory --jobs 2 check compiled
	$(PYTHON) -m pytest tests/faults tests/simulation tests/unit/test_link_histories.py tests/clients \
		tests/integration tests/mutation tests/unit \
		--numprocesses 4 --dist loadfile --no-loadscope-reorder

check: setup  ## style and types only
	$(PYTHON) -m ruff check
	$(PYTHON) -m ruff format --check
	$(PYTHON) -m mypy

# Types keep one core busy: on another one the tests are compiled meanwhile, once for all workers.
compiled: setup
	@$(PYTHON) -m pytest tests --collect-only --quiet >/dev/null 2>&1 || true  # what is wrong is told when they are run

docs: setup  ## what is made from the code: docs/tables.md, and the diagrams of docs/runs.md
	$(PYTHON) -m local.tables_page
	$(PYTHON) -m local.runs_page

BENCHMARKS := sending protection users rejects local_dataverse
bench: setup  ## every benchmark (about 20 minutes on a quiet machine), and docs/performance.md from what they found
	@failed=; for name in $(BENCHMARKS); do $(PYTHON) bench/$$name.py >/dev/null || failed="$$failed $$name"; done; \
		$(PYTHON) bench/report.py && { [ -z "$$failed" ] || { echo "Not well, as said above:$$failed"; exit 1; }; }

soak: setup  ## every campaign at its long size; the table of docs/reliability.md
	@$(PYTHON) -m tests.soak

mutants: setup  ## what the unit tests notice when the code is changed: about two hours, .local/mutants/survivors.txt
	@$(PYTHON) -m tests.mutation

clean:
	rm -rf .local .venv node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis .coverage htmlcov

setup:
	@sh local/setup.sh

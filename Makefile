PYTHON ?= python

.PHONY: format lint types test sweep bench docs

format:
	$(PYTHON) -m ruff format .
	$(PYTHON) -m ruff check --fix .

lint:
	$(PYTHON) -m ruff format --check .
	$(PYTHON) -m ruff check .
	$(PYTHON) -c "from importlinter.cli import lint_imports_command as lint; lint()"

types:
	$(PYTHON) -m mypy

test:
	$(PYTHON) -m pytest

sweep:
	$(PYTHON) -m pytest -m slow

bench:
	$(PYTHON) -m benchmarks.bench_conv --json benchmarks/results/core.json
	$(PYTHON) -m benchmarks.bench_conv --dtype float64 --json benchmarks/results/core_float64.json
	$(PYTHON) -m benchmarks.bench_conv --threads 2 --json benchmarks/results/core_two_threads.json
	$(PYTHON) -m benchmarks.bench_small --json benchmarks/results/small.json
	$(PYTHON) -m benchmarks.bench_team > benchmarks/results/team.json
	$(PYTHON) -m benchmarks.bench_explain --json benchmarks/results/explain.json
	$(PYTHON) -m benchmarks.table

docs:
	$(PYTHON) -m pytest -n 0 tests/test_docs.py

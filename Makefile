# Everything runs in .venv, made when first needed. PYTHON chooses the interpreter it is made of (3.10 or newer).
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: demo test lint coverage docs figures release-check bench thorough audit licences hashes screenshots slicer-test \
	clean

demo: $(VENV)/report.ready
	$(RUN) -m SRDynamicMRILib demo demo

# Files of tests side by side, each on one thread: tests compute little, and threads of many processes only wait.
test: $(VENV)/test.ready
	OMP_NUM_THREADS=1 $(RUN) -m pytest --numprocesses logical --maxprocesses 4 --dist loadfile

lint: $(VENV)/development.ready
	$(RUN) -m ruff check .
	$(RUN) -m ruff format --check .
	$(RUN) -m mypy

# How much of the library the tests run, subprocesses counted. A signal that comes while coverage.py holds its lock makes
# it wait for itself for ever, so processes that are sent one are left out.
coverage: $(VENV)/development.ready
	rm -f .coverage .coverage.*
	$(RUN) -m coverage run -m pytest --deselect Testing/cli/test_cancel_and_resume.py::test_superresolve_goes_on_after
	$(RUN) -m coverage combine --quiet
	$(RUN) -m coverage report

# The documentation, into site/.
docs: $(VENV)/docs.ready
	NO_MKDOCS_2_WARNING=1 $(RUN) -m mkdocs build --strict --quiet

# The figures of the documentation: look, then commit.
figures: $(VENV)/report.ready
	$(RUN) docs/figures.py

# What is published: packages that install and run on their own, and what Slicer's catalogue reads.
release-check: $(VENV)/development.ready
	$(RUN) Testing/release_check.py

bench: $(VENV)/report.ready
	$(RUN) Testing/bench_speed.py

# The same tests with more kills, more damaged files and longer series; half an hour (docs/reliability.md).
thorough: $(VENV)/test.ready
	$(RUN) -m pytest --thorough Testing/cli/test_kills.py Testing/cli/test_fuzzing.py Testing/cli/test_soak.py

# Known vulnerabilities of the pinned packages; asks PyPI, and fails where it cannot be asked.
audit: $(RUN)
	$(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt pip-audit
	$(RUN) -m pip_audit --strict --no-deps --disable-pip --requirement constraints.txt

licences: $(VENV)/development.ready $(VENV)/docs.ready
	$(RUN) Testing/licences.py > docs/licences.md

# After weights were added or replaced.
hashes:
	cd Resources/Models && sha256sum *.safetensors > SHA256SUMS

# The comparison's views, drawn by Slicer's own parts: the picture that the tests hold later ones against.
screenshots: $(VENV)/test.ready
	$(RUN) Testing/helpers/comparison_picture.py

# The module's self-test in a real Slicer, which has to have torch, safetensors and matplotlib:
#     make slicer-test SLICER=/path/to/Slicer
slicer-test:
	@test -x "$(SLICER)" || { echo "Name the program: make slicer-test SLICER=/path/to/Slicer"; exit 1; }
	Testing/run_in_slicer.sh "$(SLICER)"
	Testing/run_in_slicer.sh "$(SLICER)" --no-main-window

clean:
	rm -rf $(VENV) build dist demo site .coverage .coverage.*

# One file for every extra that is installed: .venv/report.ready, .venv/test.ready, .venv/docs.ready, ...
$(VENV)/%.ready: pyproject.toml constraints.txt | $(RUN)
	$(RUN) -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[$*]'
	touch $@

$(RUN):
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
	    { echo "Python 3.10 or newer is needed; name it with: make PYTHON=/path/to/python3"; exit 1; }
	@$(PYTHON) -m venv $(VENV) || \
	    { rm -rf $(VENV); echo "Python cannot make a virtual environment; on Debian: apt install python3-venv"; exit 1; }

# make install   .venv with everything, pinned
# make demo      the main job, small and real: 10 problems, a real model, a real vLLM server
# make test      all tests; make quick: check and the tests that are not slow, in some minutes
# make check     style, types, architecture; make bench: what pacore costs, as a page;
#                make bench-check: whether its ratios are as good as expected
# make trainers  exports loaded by TRL and verifiers themselves, in environments of their own
# make loop      from problems to a checkpoint that learned to synthesise, in half an hour or less
# make chaos     500 kills at random moments, on a folder and on S3, and the tables compared

PYTHON ?= python3
MODEL := .models/SmolLM2-135M-Instruct
VENV := .venv/bin
PANDAS := .venv/pandas
# One more than two cores have: a third of a test's time is waiting.
WORKERS := -n 3 --dist loadfile --no-loadscope-reorder

.DEFAULT_GOAL := install
.PHONY: install demo loop trainers test quick chromium postgresql faketime bubblewrap check bench bench-check chaos lock clean

# A stamp, so that an install that broke off is not taken for a whole one.
.venv/.installed: pyproject.toml constraints.txt infra/install.sh
	@rm -f $@
	@infra/install.sh $(PYTHON)
	@touch $@

install: .venv/.installed

$(MODEL)/config.json: | .venv/.installed
	@$(VENV)/python infra/demo/prepare_model.py $(MODEL)

# Uncompiled (--enforce-eager): so small a job is done before compiling pays, and no C++ compiler is
# needed. In float32, which is as fast as bfloat16 where a CPU has instructions for that, and four
# times as fast where it has none.
demo: .venv/.installed $(MODEL)/config.json
	@$(VENV)/pacore run --problems infra/demo/problems.jsonl --preset low \
		--engine vllm --model $(MODEL) --temperature 0.5 --max-tokens 512 \
		--vllm-option=--enforce-eager --vllm-option=--dtype=float32 \
		--store ./store --run-id demo

test: .venv/.installed $(MODEL)/config.json chromium bubblewrap postgresql faketime $(PANDAS)/pandas .venv/.reasoning-gym
	@$(VENV)/python -m pytest $(WORKERS)

quick: check
	@$(VENV)/python -m pytest $(WORKERS) -m "not slow"

# Beside the environment, not in it: Arrow imports pandas wherever it finds it, at every start.
$(PANDAS)/pandas: | .venv/.installed
	@$(VENV)/python -m pip install --quiet --disable-pip-version-check --no-deps --target $(PANDAS) pandas==3.1.1

# A generator of problems that the tests look at, where they find it; one of its packages is compiled.
.venv/.reasoning-gym: infra/reasoning-gym.txt | .venv/.installed
	@infra/compiler.sh $(VENV)/python >/dev/null
	@$(VENV)/python -m pip install --quiet --disable-pip-version-check --no-deps -r infra/reasoning-gym.txt
	@touch $@

# Five things come from the system's packages and not from PyPI. With this one the tests look at
# Prefect's pages, and nothing else needs it.
chromium:
	@infra/chromium.sh >/dev/null

# Nor this one: a database for the Prefect servers of the tests.
postgresql:
	@infra/postgresql.sh >/dev/null

# Nor this one: a clock for single processes, which the tests set.
faketime:
	@infra/faketime.sh >/dev/null

# In this one programs are graded.
bubblewrap:
	@infra/bubblewrap.sh >/dev/null

check: .venv/.installed
	@$(VENV)/ruff check --quiet
	@$(VENV)/ruff format --check --quiet
	@$(VENV)/mypy
	@$(VENV)/python -m pytest --quiet tests/house/test_architecture.py

# Sizes for a quarter of an hour on two cores; each benchmark says what else it can measure.
bench: .venv/.installed
	@$(VENV)/python -m benchmarks.makespan --workloads 60x16,4 --clients pacore,reference,barrier
	@$(VENV)/python -m benchmarks.throughput --in-flight 1 64 1024 --trajectories 3400
	@$(VENV)/python -m benchmarks.overhead --sizes 3400 13600
	@$(VENV)/python -m benchmarks.store --trajectories 20000 --texts 500
	@$(VENV)/python -m benchmarks.store --trajectories 5000 --texts 500 --s3
	@$(VENV)/python -m benchmarks.sql --shape 500x16,4 --only mart_ --once
	@$(VENV)/python -m benchmarks.commands --runs 3
	@$(VENV)/python -m benchmarks.page

bench-check: .venv/.installed
	@$(VENV)/python -m benchmarks.check

# Learning to synthesise, small: half an hour or less on two cores; see docs/training.md.
loop: .venv/.installed
	@$(VENV)/python -m examples.loop

# Not in `make test`: two environments of 1.6 GB, which take one to five minutes once, and a minute of
# CPU each time. TRAINERS="trl verifiers verl openrlhf" has those that take longer, too.
TRAINERS ?= trl verifiers
trainers: .venv/.installed bubblewrap
	@infra/trainers.sh $(VENV)/python $(TRAINERS)
	@$(VENV)/python -m pytest tests/training/test_trainers.py

chaos: .venv/.installed
	@$(VENV)/python -m benchmarks.chaos

# Changes as few pins as pyproject.toml allows. uv has its own settings for where packages are found:
# UV_FIND_LINKS or UV_EXTRA_INDEX_URL has to lead it to torch's CPU build.
lock: .venv/.installed
	@$(VENV)/uv pip compile --quiet --universal --python-version 3.11 --python $(VENV)/python \
		--no-annotate --no-header --extra demo --extra dev pyproject.toml -o constraints.txt

clean:
	@rm -rf .venv .models build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

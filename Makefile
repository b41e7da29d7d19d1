# Each target is one command. `make` alone lists them.
PYTHON ?= python3
BIN := .venv/bin
export MLFLOW_DISABLE_TELEMETRY := true
export ITERATIVE_DO_NOT_TRACK := 1
export DO_NOT_TRACK := 1
export WANDB_MODE := offline
export OMP_WAIT_POLICY := passive

.PHONY: help lab course test nightly grade bundle check answers build site env engines images vllm lock clean
help:     ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /  make \1\t/p' Makefile | expand -t 20

env:
	@PYTHON=$(PYTHON) scripts/setup.sh

engines:  ## install the system engines from Debian's packages, vLLM, and what `make images` prepares (needs root)
	@scripts/engines.sh

images: env  ## prepare the container images and wheels of notebook 5, so that it needs no network
	@$(BIN)/python scripts/images.py

vllm: env ## install the real vLLM for a machine without a GPU (2.5 GB in .venv-vllm)
	@scripts/vllm.sh

lab: env  ## open JupyterLab on the course's welcome page
	@JUPYTER_CONFIG_PATH="$(CURDIR)/autograder/jupyter_ext/config$${JUPYTER_CONFIG_PATH:+:$$JUPYTER_CONFIG_PATH}" \
		$(BIN)/jupyter lab $(ARGS)

course: env  ## run and grade all notebooks, and write build/course-report.html
	@scripts/engines.sh --auto
	@$(BIN)/python -m autograder course $(ARGS)

test: env  ## everything that CI checks
	@scripts/engines.sh --auto
	@scripts/test.sh

nightly: env  ## what takes too long for every change (after `make course`): all notebooks with nbval, whole copies, the longest tests
	@scripts/engines.sh --auto
	@scripts/nightly.sh

check: env  ## the quick checks before a commit: style, types, notebooks in sync with their sources
	@scripts/check.sh

build: env  ## make notebooks/ again from solutions/
	@$(BIN)/python -m autograder build

answers: env  ## try every wrong and every alternative right answer
	@$(BIN)/python -m autograder answers $(ARGS)

grade: env  ## grade SUBMISSIONS (a folder or a zip) into OUT
	@$(BIN)/python -m autograder grade $(SUBMISSIONS) --out $(or $(OUT),build/grades) $(ARGS)

site: env  ## build the course as static pages in build/site
	@$(BIN)/python docs/site/build.py

bundle: env  ## write what learners get to build/mlops-course.zip
	@$(BIN)/python -m autograder bundle $(ARGS)

lock: env  ## make requirements.lock again from pyproject.toml
	@$(BIN)/uv pip compile pyproject.toml --all-extras --universal --python-version 3.11 --generate-hashes --no-header -q -o requirements.lock
	@scripts/binder_lock.sh

clean:    ## delete what was built; the environment stays
	@rm -rf build

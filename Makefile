# Everything a developer types. Needs python3 (3.10 to 3.14), a C++20 compiler and make; the rest is fetched into .cache.

PYTHON ?= python3
MODEL ?=
ARGS ?=
WORKERS ?= 2

BENCH := .cache/venv/bench
TEST := .cache/venv/test
OLDEST := .cache/venv/oldest
INTEROP := .cache/venv/interop
CONVERTERS := .cache/venv/converters
TORCH := .cache/venv/torch
FUZZ := .cache/venv/fuzz
# One build folder for each kind of build, kept, so that only what changed is compiled again.
BUILD := build/strict
WHEEL := build/wheel/made
export PIP_NO_INPUT := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# Python compiles what it imports; pip would compile all of it, which takes a minute for TensorFlow alone.
export PIP_COMPILE := 0
JOBS := $(shell nproc 2>/dev/null || echo 2)
# Two files of tests at a time, each in one process; what measures runs alone (tests/beside.py).
SIDE_BY_SIDE := -n $(WORKERS) --dist loadfile --no-loadscope-reorder

# Folders are listed too: their time changes when a file goes away.
SOURCES := CMakeLists.txt pyproject.toml $(wildcard LICENSE README.md) $(shell find cpp python \
  -name __pycache__ -prune -o \( -type d -o -name '*.cc' -o -name '*.h' -o -name '*.py*' -o -name '*.js' -o -name '*.css' -o -name '*.html' \) \
  ! -name '*.pyc' -print)
CPP := $(shell find cpp -name '*.cc' -o -name '*.h')
HEADERS := $(filter %.h,$(CPP))
TIDIED := $(patsubst %.cc,build/tidy/%.ok,$(filter %.cc,$(CPP)))
# What pyproject.toml builds with, for the development build that does without pip's isolated environment.
BUILD_REQUIRES := $(shell sed -n 's/^requires = \[\(.*\)\]$$/\1/p' pyproject.toml | sed 's/", "/" "/g')

# The stub is compared to the letter, and these two write it.
STUB_REQUIRES := 'pybind11==3.1.*' 'pybind11-stubgen==2.5.*'

# Always put in anew, as its version is the same after every build; compiled, as tests tell what starting takes.
WHEEL_ALONE := -m pip install --quiet --no-deps --force-reinstall --compile build/wheel/*.whl

.DELETE_ON_ERROR:
.PHONY: help bench test oldest interop converters environments zoo zoo-journey lint format stub wheel clean tidy
.PHONY: sanitize sanitize-threads sanitize-leaks kernels fuzz fuzz-guided soak faults test-boards test-pythons

help: ## Show this text.
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{ printf "%-15s %s\n", $$1, $$2 }'

bench: $(BENCH)/installed ## Every precision on every delegate, and a report: make bench [MODEL=model.tflite] [ARGS=...].
	$(BENCH)/bin/python benchmarks/study.py $(if $(MODEL),--model "$(MODEL)") $(ARGS)

test: lint ## Check everything: make test [ARGS="-k name"] hands ARGS to pytest [WORKERS=2].
	$(TEST)/bin/python -m pytest $(SIDE_BY_SIDE) $(ARGS)

# Left out: what needs the quantizer, and a leak of 2.2's own (16 MB for each environment with a GPU; the official
# CompiledModel leaks the same), which 2.3 does not have.
NOT_ON_OLDEST := quantize or quantizing or renamed or python_of_the_readme or cycles_on_the_gpu
NOT_ON_OLDEST += or ((digits_ or resnet152v2) and not float32)
# What no runtime has a part in, or what fails in the same way on any; the newest has them all.
SAME_ON_ANY := beside check_house compare conditions dask_* error_metrics export faults faults_places fuzz_corpus interleave layers_export
SAME_ON_ANY += layers_sums links listening loads make_resnet152v2 memory_energy plan_* report* resnet152v2_answers run_all
SAME_ON_ANY += simulate_command split_link statistics stopping study_store verdicts
oldest: $(OLDEST)/installed ## Run the tests on the oldest runtime supported (without the quantizer, which needs the newest).
	$(OLDEST)/bin/python -m pytest $(SIDE_BY_SIDE) $(patsubst %,--ignore-glob='tests/test_%.py',quantize* $(SAME_ON_ANY)) \
	  -k "not ($(NOT_ON_OLDEST))" $(ARGS)

interop: $(OLDEST)/installed ## Give our delegates to tf.lite.Interpreter and compare (installs TensorFlow, 2 GB).
	tools/setup_environment.sh $(INTEROP) $(PYTHON)
	$(INTEROP)/bin/python -m pip install --quiet --force-reinstall build/wheel/*.whl 'tensorflow-cpu==2.21.*'
	$(INTEROP)/bin/python tools/check_other_interpreters.py tensorflow

converters: $(CONVERTERS)/installed ## Quantize Keras, SavedModel, QKeras and tfmot models (installs TensorFlow, 2 GB).
	$(CONVERTERS)/bin/python -m pytest tests/test_converters.py tests/test_converters_learned.py \
	  tests/test_converters_zoo.py $(ARGS)

environments: $(BENCH)/installed $(TEST)/installed $(OLDEST)/installed $(CONVERTERS)/installed

# Those that are there already are not made again: .cache/zoo keeps them.
zoo: $(TEST)/installed $(CONVERTERS)/tools $(TORCH)/tools ## Models of 70 architectures and of wheels, beside the official Interpreter [ARGS="--group keras"].
	cd tests && ../$(CONVERTERS)/bin/python -m zoo.make_keras ../.cache/zoo/keras
	cd tests && ../$(TORCH)/bin/python -m zoo.make_torch ../.cache/zoo/torch
	cd tests && ../$(TEST)/bin/python -m zoo $(ARGS)

zoo-journey: $(TEST)/installed $(CONVERTERS)/tools $(TORCH)/tools ## The same models and ONNX ones quantized, cut, studied and planned, by value [ARGS="--step cut"].
	cd tests && ../$(CONVERTERS)/bin/python -m zoo.make_keras ../.cache/zoo/keras
	cd tests && ../$(TORCH)/bin/python -m zoo.make_torch ../.cache/zoo/torch
	cd tests && ../$(TORCH)/bin/python -m zoo.make_onnx ../.cache/zoo/onnx
	cd tests && ../$(TEST)/bin/python -m zoo.journey $(ARGS)

# After the wheel, whose build writes what clang-tidy reads.
lint: $(TEST)/installed $(WHEEL) ## Check style, types, imports and the stub.
	$(TEST)/bin/ruff check .
	$(TEST)/bin/ruff format --check .
	$(TEST)/bin/python tools/check_house.py
	$(TEST)/bin/mypy
	$(TEST)/bin/clang-format --dry-run -Werror $(CPP)
	$(TEST)/bin/python tools/check_stub.py
	+@$(MAKE) --no-print-directory -j$(JOBS) tidy

format: $(TEST)/installed ## Rewrite Python and C++ in the project's style.
	$(TEST)/bin/ruff check --fix-only .
	$(TEST)/bin/ruff format .
	$(TEST)/bin/clang-format -i $(CPP)

stub: $(TEST)/installed ## Rewrite the stub of the extension.
	$(TEST)/bin/python tools/check_stub.py --write

wheel: $(TEST)/tools ## Build a wheel into dist/.
	$(TEST)/bin/python -m pip wheel --no-deps --wheel-dir dist .

# What a base install can do, and every kind of code in the extension: loading, running, placement, refusals of broken
# models, delegates written in C and compiled on the spot, cutting, statistics, the store. Left out: what needs an extra
# or a model from the network, and what tests Python alone at length.
CORE := old_arm runtime interpreter delegates placement fallback invalid_models external host_accessors hosted_delegates
CORE += stable_delegates threads files graph graph_joining statistics study_store interleave
CORE_TESTS := -k 'not (quantize or renamed)' $(CORE:%=tests/test_%.py)

test-boards: $(TEST)/tools ## Build, test and measure on an emulated Raspberry Pi 4 and 5 [BOARDS=raspberry-pi-4] (needs root).
	$(TEST)/bin/python -c "from scikit_build_core.build import build_sdist; build_sdist('dist')"
	BOARDS="$(BOARDS)" tools/boards/run.sh dist/litedelegates-*.tar.gz $(CORE_TESTS)

test-pythons: ## Build and test a wheel for each Python here, on the oldest and the newest runtime [VERSIONS="3.12 3.13"].
	tools/test_pythons.sh $(CORE_TESTS)

# Freed memory is kept back to catch its use, so the tests of flat memory cannot hold.
sanitize: $(TEST)/installed ## Run the tests with AddressSanitizer and UndefinedBehaviorSanitizer [ARGS="-m pytest FILE"].
	tools/check_sanitized.sh address $(TEST)/bin/python $(or $(ARGS),-m pytest -m "not gpu and not openvino" -k "not memory_is_flat" tests)

sanitize-threads: $(TEST)/installed ## Many interpreters in many threads with ThreadSanitizer [ARGS=SECONDS].
	tools/check_sanitized.sh thread $(TEST)/bin/python tests/stress.py $(ARGS)

sanitize-leaks: $(TEST)/installed ## Load, run and close with LeakSanitizer [ARGS=--leak: it has to find one].
	tools/check_sanitized.sh leak $(TEST)/bin/python tests/leaks.py $(ARGS)

kernels: $(TEST)/installed ## What the kernels of the runtime take without ending the process, anew: make kernels [ARGS="--repeat 100"].
	cd tools && ../$(TEST)/bin/python -m kernels $(ARGS)

fuzz: $(TEST)/installed ## Damaged inputs, 10,000 for every reader: make fuzz [ARGS="--target store --inputs 100"].
	cd tests && ../$(TEST)/bin/python -m fuzz $(ARGS)

fuzz-guided: $(FUZZ)/installed ## The search for such inputs by coverage, with Atheris: make fuzz-guided ARGS="store -runs=10000".
	cd tests && ../$(FUZZ)/bin/python -m fuzz.guided $(ARGS)

soak: $(TEST)/installed ## 10,000 cycles of load, run and close on every delegate and an hour of runs: make soak [ARGS=...].
	$(TEST)/bin/python tests/soak.py $(ARGS)

faults: $(TEST)/installed ## Make every call that can fail do so once, at each place in turn (takes hours).
	LITEDELEGATES_LONG=1 $(TEST)/bin/python -m pytest -s tests/test_faults.py tests/test_faults_places.py tests/test_faults_gpu.py

clean: ## Remove what was built and installed; downloads in .cache stay.
	rm -rf build dist .cache/venv .mypy_cache .pytest_cache .ruff_cache

# The one build, for every environment: a release build with warnings as errors. Not isolated: pip's isolated
# environment has a new path every time, so that everything would be compiled again and clang-tidy would look for
# headers that are gone.
$(WHEEL): $(SOURCES) $(TEST)/tools
	rm -rf build/wheel
	$(TEST)/bin/python -m pip wheel --quiet --no-deps --no-build-isolation --config-settings=build-dir=$(BUILD) \
	  --config-settings=cmake.define.LITEDELEGATES_STRICT=ON --wheel-dir build/wheel .
	@touch $@

$(BENCH)/installed: $(WHEEL)
	tools/setup_environment.sh $(BENCH) $(PYTHON)
	$(BENCH)/bin/python -m pip install --quiet "$$(ls build/wheel/*.whl)[quantize]"
	$(BENCH)/bin/python $(WHEEL_ALONE)
	@touch $@

$(TEST)/installed: $(WHEEL)
	$(TEST)/bin/python -m pip install --quiet "$$(ls build/wheel/*.whl)[dev]"
	$(TEST)/bin/python $(WHEEL_ALONE)
	@touch $@

$(OLDEST)/installed: $(WHEEL)
	tools/setup_environment.sh $(OLDEST) $(PYTHON)
	$(OLDEST)/bin/python -m pip install --quiet "$$(ls build/wheel/*.whl)" 'ai-edge-litert==2.2.*' \
	  pytest pytest-xdist ml_dtypes flatbuffers
	$(OLDEST)/bin/python $(WHEEL_ALONE)
	@touch $@

# Atheris needs a Python that it has a wheel for.
$(FUZZ)/installed: $(WHEEL)
	tools/setup_environment.sh $(FUZZ) $(PYTHON)
	$(FUZZ)/bin/python -m pip install --quiet --force-reinstall "$$(ls build/wheel/*.whl)[quantize,onnx]" 'atheris>=3,<4' ml_dtypes
	@touch $@

# qkeras-v3 and tf_keras ask for tensorflow by that name, which would bring a second copy: they come without what they
# ask for, and what of it they really import is named here.
CONVERTERS_REQUIRES := 'tensorflow-cpu==2.21.*' 'tensorflow-model-optimization==0.8.*' networkx pyparsing scikit-learn
$(CONVERTERS)/tools: Makefile tools/setup_environment.sh
	tools/setup_environment.sh $(CONVERTERS) $(PYTHON)
	$(CONVERTERS)/bin/python -m pip install --quiet $(CONVERTERS_REQUIRES) 'litert-quantizer==0.11.*' pytest
	$(CONVERTERS)/bin/python -m pip install --quiet --no-deps 'tf_keras==2.21.*' 'qkeras-v3==1.2.*'
	@touch $@

$(CONVERTERS)/installed: $(WHEEL) $(CONVERTERS)/tools
	$(CONVERTERS)/bin/python $(WHEEL_ALONE)
	@touch $@

# litert-torch asks for transformers, sentencepiece and more that converting a module does not import, and any torch at
# all, which may come with CUDA (3 GB): it comes without what it asks for, and what it imports is named here. onnx is
# what torch's own export to ONNX writes with.
TORCH_REQUIRES := 'torch==2.13.0' 'ai-edge-litert==2.3.*' 'jax==0.10.*' jaxtyping numpy scipy absl-py safetensors
TORCH_REQUIRES += multipledispatch onnx tabulate flatbuffers rich packaging immutabledict
$(TORCH)/tools: Makefile tools/setup_environment.sh
	tools/setup_environment.sh $(TORCH) $(PYTHON)
	$(TORCH)/bin/python -m pip install --quiet $(TORCH_REQUIRES)
	$(TORCH)/bin/python -m pip install --quiet --no-deps 'litert-torch==0.10.*' 'litert-converter==0.5.*' \
	  'ai-edge-quantizer==0.10.*' 'torchao==0.18.*'
	@touch $@

$(TEST)/tools: pyproject.toml tools/setup_environment.sh
	tools/setup_environment.sh $(TEST) $(PYTHON)
	$(TEST)/bin/python -m pip install --quiet cmake ninja $(BUILD_REQUIRES) $(STUB_REQUIRES)
	@touch $@

tidy: $(TIDIED)

# Following every path through pybind11's templates doubles the time and finds nothing of ours.
build/tidy/cpp/bindings/%.ok: TIDY_ARGS := --checks='-clang-analyzer-*'

build/tidy/%.ok: %.cc $(HEADERS) .clang-tidy
	@echo clang-tidy $<
	@mkdir -p $(@D)
	@$(TEST)/bin/clang-tidy -p $(BUILD) --quiet $(TIDY_ARGS) $< 2>$(@:.ok=.log) || { cat $(@:.ok=.log) >&2; exit 1; }
	@touch $@

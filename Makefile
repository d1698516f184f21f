# A thin face on the CMake presets. `make run` serves the default model; `make test` runs every test.
# PRESET=debug|asan|tsan builds another way; CLLM_GPU=cuda|metal|vulkan|hip builds llama.cpp with that backend.
PRESET ?= release
CLLM_GPU ?=
BUILD = build/$(PRESET)
ARGS ?=
# The variables of the test suites: PYTEST_ARGS="-k openai" and the like.
PYTEST_ARGS ?=

# Where `make install` puts things; DESTDIR is for packagers.
PREFIX ?= /usr/local
DESTDIR ?=

.PHONY: run build test structured-runs schema-corpus test-unit test-threads test-tsan test-peer format hostile fuzz fuzz-connections fuzz-api simulate check model tools setup docs bench bench-engine bench-throughput bench-interference bench-sharing bench-overload bench-structured bench-embeddings bench-threads bench-sampler bench-tokenizer soak-hostile install uninstall clean

run: build model ## Set up, build, fetch the default model and serve it on port 8080
	@exec build/cllm serve $(ARGS)

build: setup ## The program, at build/cllm
	@scripts/build $(PRESET) cllm $(CLLM_GPU)

test: setup model ## Every test: unit tests, then end-to-end tests
	@scripts/bootstrap --test
	@scripts/build $(PRESET) all $(CLLM_GPU)
	@scripts/test $(BUILD) $(PYTEST_ARGS)

test-unit: setup ## The unit tests alone
	@scripts/build $(PRESET) all $(CLLM_GPU)
	@scripts/test --unit $(BUILD)

test-threads: setup ## The unit tests of what several threads use, under ThreadSanitizer
	@scripts/build threads threaded_tests
	@scripts/test --threads build/threads

test-tsan: ## Every test under ThreadSanitizer, llama.cpp included
	@$(MAKE) --no-print-directory test PRESET=tsan

test-peer: setup model ## llama.cpp's own server tests and clients of other projects against the program
	@scripts/build $(PRESET) cllm $(CLLM_GPU)
	@scripts/test-peer $(BUILD) $(PYTEST_ARGS)

SECONDS ?= 30
FUZZ ?=
fuzz: setup ## Each fuzz target (or FUZZ="yaml gguf") for SECONDS=30
	@scripts/bootstrap --fuzz
	@scripts/build fuzz fuzzers
	@scripts/fuzz build/fuzz $(SECONDS) $(FUZZ)

fuzz-connections: setup model ## Hostile connections against the program under AddressSanitizer, plain and TLS, for SECONDS each
	@scripts/build asan cllm
	@scripts/test --e2e build/asan --fuzz-seconds $(SECONDS) -n 0 -s -k test_connection_fuzz

fuzz-api: setup model ## Requests drawn from /openapi.json, right and wrong ones, against the program for SECONDS
	@scripts/build $(PRESET) cllm
	@scripts/test --e2e $(BUILD) --api-seconds $(SECONDS) -n 0 -s -k test_requests_that_are_drawn

RUNS ?= 2000
structured-runs: build model ## RUNS=2000 constrained answers, drawn hot from the whole vocabulary, of MODEL and of random weights
	@scripts/test --e2e $(BUILD) --model $(MODEL) --structured-runs $(RUNS) -n 0 -s -k test_nothing_that_is_drawn

schema-corpus: build ## Real schemas from PyPI: which are let in, compile, and hold what they say
	@scripts/build $(PRESET) schema_corpus $(CLLM_GPU)
	@bench/schema_corpus.py --tool $(BUILD)/bench/schema_corpus --cllm build/cllm $(ARGS)

SEED ?= 1
REQUESTS ?= 1000000
CHECK_EVERY ?= 1000
simulate: setup ## The scheduler under REQUESTS random requests in virtual time
	@scripts/build $(PRESET) simulate
	@$(BUILD)/src/simulation/simulate $(SEED) $(REQUESTS) $(CHECK_EVERY)

# A sanitizer is asked where the program meets what others send, or is interrupted. The rest drives no program, measures, or repeats
# the suite's requests.
WITHOUT_SANITIZER = tests/tools tests/test_format.py tests/test_rooms.py $(patsubst %,tests/e2e/test_%.py,docs generated_docs install \
  benchmarks cache_owners call_formats completion concurrency config_command embeddings generate isolated_models keep_alive llama_server long_answer memory metrics models openai \
  prefix_cache process proxies published_schemas pull reasoning_budget rerank result_cache run same_bytes scheduling scoring several_models show structured_output threads tools)
check: ## Short fuzzing, the unit tests of what threads share under ThreadSanitizer, unit and end-to-end tests under AddressSanitizer
	@$(MAKE) --no-print-directory fuzz
	@$(MAKE) --no-print-directory test-threads
	@$(MAKE) --no-print-directory test PRESET=asan PYTEST_ARGS="$(addprefix --ignore=,$(WITHOUT_SANITIZER))"

hostile: setup model ## The unit tests, then 300 hostile model files through the program
	@scripts/build $(PRESET) all $(CLLM_GPU)
	@scripts/test $(BUILD) --slow -k test_hostile_gguf

model: setup ## Fetch the default model
	@scripts/fetch-model

tools: setup ## llama.cpp's own server, benchmarks and quantiser, for comparisons
	@scripts/deps --tools

setup:
	@scripts/bootstrap

format: setup ## Every C++ file as .clang-format says
	@scripts/bootstrap --test
	@git ls-files '*.cc' '*.h' | xargs clang-format-19 -i

docs: build ## Write the pages that are generated from the option table
	@build/cllm serve --print-config-markdown > docs/configuration.md
	@mkdir -p config
	@build/cllm serve --print-config-example > config/config.example.yaml

install: build ## Program, manual page, completions, example configuration and licences
	@DESTDIR="$(DESTDIR)" cmake --install $(BUILD) --prefix "$(PREFIX)"

uninstall: ## Remove what the last `make install` of this build wrote; DESTDIR as it was then
	@while read -r file || [ -n "$$file" ]; do rm -fv "$(DESTDIR)$$file"; done < $(BUILD)/install_manifest.txt

clean:
	rm -rf build

MODEL ?= $(HOME)/.cache/cllm/models/SmolLM2-135M-Instruct.Q4_1.gguf
bench: build model ## cLLM beside llama-server on MODEL, as a Markdown table
	@tools=$$(scripts/deps --tools) && bench/side_by_side.py --cllm build/cllm --llama-server $$tools/llama-server --model $(MODEL) $(ARGS)

bench-engine: build model ## The engine alone beside llama.cpp's own benchmarks on MODEL
	@tools=$$(scripts/deps --tools) && bench/engine_side_by_side.py --cllm build/cllm --llama-tools $$tools --model $(MODEL) $(ARGS)

bench-throughput: build model ## Tokens a second of 1 to 32 streams beside llama-server and llama.cpp's engine alone
	@tools=$$(scripts/deps --tools) && bench/throughput.py --cllm build/cllm --llama-tools $$tools --model $(MODEL) $(ARGS)

bench-interference: build model ## A long prompt beside running streams, cLLM and llama-server in turn
	@tools=$$(scripts/deps --tools) && bench/interference.py --cllm build/cllm --llama-server $$tools/llama-server --model $(MODEL) $(ARGS)

bench-sharing: build model ## What shared prefixes and the result cache save
	@bench/sharing.py --cllm build/cllm --model $(MODEL) $(ARGS)

bench-overload: build model ## Ten times the load that the server can carry
	@scripts/build $(PRESET) load_client $(CLLM_GPU)
	@bench/overload.py --cllm build/cllm --client $(BUILD)/bench/load_client --model $(MODEL) $(ARGS)

soak-hostile: SECONDS = 600
soak-hostile: build model ## Honest streams beside hostile clients, for SECONDS=600 beside all of them together
	@bench/hostile.py --cllm build/cllm --model $(MODEL) --seconds $(SECONDS) $(ARGS)

bench-structured: build model ## What constraints cost: masks, constrained beside free streams, hostile schemas
	@tools=$$(scripts/deps --tools) && bench/structured.py --cllm build/cllm --llama-server $$tools/llama-server --model $(MODEL) $(ARGS)

bench-embeddings: build ## Texts a second at /v1/embeddings beside llama-server, with MODEL=FILE (tests/e2e/minilm.py writes one)
	@tools=$$(scripts/deps --tools) && bench/embeddings.py --cllm build/cllm --llama-tools "$$tools" --model $(MODEL) $(ARGS)

bench-threads: build model ## Tokens a second before, during and after a load on the same cores
	@bench/threads.py --cllm build/cllm --model $(MODEL) $(ARGS)

bench-sampler: setup ## The samplers beside llama.cpp's, on 152 k logits
	@scripts/bootstrap --bench
	@[ ! -f $(BUILD)/build.ninja ] || cmake $(BUILD) >/dev/null
	@scripts/build $(PRESET) sampler_benchmark
	@$(BUILD)/bench/sampler_benchmark $(ARGS)

bench-tokenizer: setup ## How long each pre-tokenizer takes for 1 MiB of one character and of mixtures
	@scripts/build $(PRESET) tokenizer_benchmark
	@$(BUILD)/bench/tokenizer_benchmark "$$(bash scripts/sources.bash llama.cpp)" $(ARGS)

# Every target sets up what it needs; nothing is done twice when nothing changed.
.DEFAULT_GOAL := help
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c

VENV := .venv
PYTHON := $(VENV)/bin/python
BOTS := avtobus polkson
BASE ?= demo
BOT ?= avtobus
TEXT ?= Привет
USERS ?= 20
SECONDS ?= 60
PAGE ?= http://127.0.0.1:8081
# the demo base is small and the samples too: two to five minutes each on two cores
TRAINING_demo := --epochs 10 --max-steps 340 --no-evaluate
# what is kept learned far longer, from far longer chats: half an hour to two hours each
STEPS_avtobus := 10800
STEPS_polkson := 5400
KEPT_JOBS = extraction_jobs.build_dataset \
  "training_jobs.finetune --base demo --epochs 20 --max-steps $(STEPS_$(bot))" \
  training_jobs.convert training_jobs.evaluate
EXCHANGES := 72000
LOCKS := $(wildcard requirements/*.txt)
PROTO := protos/generation/v1/generation.proto
STUBS := protos/generation/v1/generation_pb2.py
STUB_TYPES := $(STUBS)i
# which base trained models were made from: a path may hold what no file name may
MARK = .made-from-$(if $(filter demo,$(BASE)),demo,$(shell printf %s "$(BASE)" | cksum | cut -d" " -f1))
DATA := var/data
MODELS := var/models

export BOT TEXT
# without their bytecode torch and its kin take ten seconds to import, in each process anew
unexport PYTHONDONTWRITEBYTECODE
export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)

.NOTPARALLEL:

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

serving: $(VENV)/.serving $(STUBS) # What serves, without training's packages: the demo needs no more

$(VENV)/.serving: requirements/install.sh requirements/demo.txt
	@echo "installing what serves into $(VENV), half a minute to two"
	@requirements/install.sh $(VENV) demo
	@touch $@

setup: $(VENV)/.ready $(STUBS) $(STUB_TYPES) ## Install everything into .venv and generate the gRPC stubs

$(VENV)/.ready: requirements/install.sh $(LOCKS)
	@echo "installing everything into $(VENV), about a minute"
	@requirements/install.sh $(VENV)
	@touch $(VENV)/.serving $@

protos: $(STUBS) $(STUB_TYPES) ## Generate the gRPC stubs

$(STUBS): $(PROTO) $(VENV)/.serving
	@$(PYTHON) -m grpc_tools.protoc -I . --python_out=. --grpc_python_out=. $<
	@touch $@

$(STUB_TYPES): $(PROTO) $(VENV)/.ready
	@$(PYTHON) -m grpc_tools.protoc -I . --mypy_out=quiet:. --mypy_grpc_out=quiet:. $<
	@touch $@

SAMPLES := $(wildcard extraction_jobs/sample_chats/*.py extraction_jobs/sample_chats/*.json)

$(DATA)/.samples: $(SAMPLES) | serving
	@$(PYTHON) -m extraction_jobs.sample_chats --output $(DATA) > /dev/null
	@umask 077 && touch $@

ifneq ($(filter 1,$(TRAIN))$(filter-out demo,$(BASE)),)
models: setup $(BOTS:%=$(MODELS)/%/$(MARK)) ## Publish the sample bots that are kept; TRAIN=1 or BASE=… trains them
else
models: $(DATA)/.samples | serving
	@$(PYTHON) -m training_jobs.sample_bots publish
endif

$(MODELS)/%/$(MARK): $(DATA)/.samples k8s/bots/%/bot.yaml training_jobs/demo_base/model.safetensors | setup
	$(PYTHON) -m training_jobs.pipeline --bot k8s/bots/$*/bot.yaml \
	  --input $(DATA)/$*/exports/result.json --base "$(BASE)" $(if $(filter demo,$(BASE)),$(TRAINING_demo))
	@rm -f $(MODELS)/$*/.made-from-*
	@umask 077 && touch $@

sample-bots: setup ## Train the sample bots and keep them in the repository
	@folder=$$(mktemp -d); trap 'rm -r "$$folder"' EXIT; \
	export DATA_DIR="$$folder/data" MODELS_DIR="$$folder/models"; \
	$(PYTHON) -m benchmarks.sample_chats --output "$$folder/data" --exchanges $(EXCHANGES); \
	$(foreach bot,$(BOTS),\
	  for job in $(KEPT_JOBS); do $(PYTHON) -m $$job --bot k8s/bots/$(bot)/bot.yaml; done;) \
	$(PYTHON) -m training_jobs.sample_bots keep $(KEEPING)

ask: serving ## Ask a bot: make ask BOT=avtobus TEXT="Привет"
	@$(PYTHON) -m services.generation.ask --bot "$$BOT" --text "$$TEXT"

demo: models ## All published bots on a page, without Telegram (TELEGRAM=1 for the real one)
	@$(PYTHON) -m services.sandbox.demo

load: serving ## People who write to the running demo: make load USERS=20 SECONDS=60
	@$(PYTHON) -m benchmarks.load --page $(PAGE) --users $(USERS) --seconds $(SECONDS)

IMAGES := gateway generation sandbox extraction training
ENGINE ?= $(notdir $(firstword $(shell command -v docker podman 2>/dev/null) docker))
REGISTRY ?= docker.io/persona-bots
TAG ?= $(shell sed -n 's/^version = "\(.*\)"/\1/p' pyproject.toml)

images: $(IMAGES:%=image-%) ## Build the images (REGISTRY=… TAG=… ENGINE=podman PUSH=1)

$(IMAGES:%=image-%): image-%:
	$(ENGINE) build -t $(REGISTRY)/$*:$(TAG) --build-arg IMAGE=$* .
	$(if $(PUSH),$(ENGINE) push $(REGISTRY)/$*:$(TAG))

UNLIST = sed -i -e '/^  - $(NAME)$$/d' -e '/^      - $(NAME)\.yaml=/d' k8s/bots/kustomization.yaml; \
  sed -i '/{name: $(NAME)-telegram,/d' k8s/components/token-file/kustomization.yaml

# the folder comes last: what is broken off before can be done again
new-bot: ## Make the folder of a new bot: make new-bot NAME=vasya
	@[[ "$(NAME)" =~ ^[a-z][a-z0-9-]{0,31}$$ && "$(NAME)" != kustomization ]] || \
	  { echo "error: NAME=$(NAME): must be lower-case letters, digits and dashes, a letter first, and not kustomization" >&2; exit 2; }
	@[ ! -e k8s/bots/$(NAME) ] || { echo "error: k8s/bots/$(NAME) exists already" >&2; exit 2; }
	@rm -rf k8s/bots/.$(NAME) && mkdir k8s/bots/.$(NAME)
	@sed 's/avtobus/$(NAME)/g' k8s/bots/avtobus/kustomization.yaml > k8s/bots/.$(NAME)/kustomization.yaml
	@if [ -n "$(FILE)" ]; then cp "$(FILE)" k8s/bots/.$(NAME)/bot.yaml; else printf '%s\n' "name: $(NAME)" \
	  "extraction:" "  persona: auto  # or a sender's name, or whole-chat" \
	  "gateway:" "  names: [$(NAME)]" > k8s/bots/.$(NAME)/bot.yaml; fi
	@$(UNLIST)
	@sed -i -e 's/^configMapGenerator:/  - $(NAME)\n&/' \
	  -e '$$a\      - $(NAME).yaml=$(NAME)/bot.yaml' k8s/bots/kustomization.yaml
	@sed -i '$$a\  - {name: $(NAME)-telegram, envs: [$(NAME).env]}' k8s/components/token-file/kustomization.yaml
	@mv k8s/bots/.$(NAME) k8s/bots/$(NAME)
	@echo "k8s/bots/$(NAME)/bot.yaml: describe the bot there (docs/settings.md#botyaml)"
	@echo "names: a common noun makes every mention of the thing a call; take a rarer name, or set names_at: edge"

remove-bot: ## Remove the folder of a bot, and its name elsewhere: make remove-bot NAME=vasya
	@[[ "$(NAME)" =~ ^[a-z][a-z0-9-]{0,31}$$ && "$(NAME)" != kustomization ]] || \
	  { echo "error: NAME=$(NAME): is no name of a bot" >&2; exit 2; }
	@rm -rf k8s/bots/$(NAME) k8s/bots/.$(NAME)
	@$(UNLIST)

test: setup ## Run the tests, with coverage and import rules
	$(PYTHON) -m pytest -n 2 --dist loadfile --timeout 240

lint: setup ## Check style, types and the proto
	ruff check --no-cache .
	ruff format --check .
	mypy .
	cd protos && buf lint

docs: setup ## Write the tables of docs/settings.md and docs/metrics.md from the code
	@$(PYTHON) -m tests.generate_docs

clean: ## Remove all that was generated, installed or trained, your bots in var/ included
	rm -rf $(VENV) var .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .coverage*
	rm -f protos/generation/v1/generation_pb2*
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help serving setup protos models sample-bots ask demo load images $(IMAGES:%=image-%) new-bot remove-bot test lint docs clean

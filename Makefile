# One line a task; the work is in the files that are named.
.DEFAULT_GOAL := help
PYTHON_IN_VENV := .venv/bin/python
# Python reads these before the first line of ours could forget them.
unexport $(filter-out PYTHON,$(filter PYTHON%,$(.VARIABLES)))

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: ## start everything on this machine; Ctrl-C stops it
	@deploy/local/install.sh run
	@exec $(PYTHON_IN_VENV) -m deploy.local

test: ## start throwaway servers, run the tests; ARGS="tests/web -k live" for some
	@deploy/local/install.sh test
	@$(PYTHON_IN_VENV) -m deploy.local --throwaway --servers-only -- $(PYTHON_IN_VENV) -m pytest -n 2 $(ARGS)

lint: ## ruff, mypy --strict, import-linter
	@deploy/local/install.sh test
	.venv/bin/ruff check . && .venv/bin/ruff format --check . && .venv/bin/mypy && .venv/bin/lint-imports

demo: ## two years of plausible tickets into the running helpdesk
	@$(PYTHON_IN_VENV) -m demo $(ARGS)

bench: ## figures beside their floors, on a throwaway stack with 100 000 tickets
	@deploy/local/install.sh test
	@WEB_LIMITS=off $(PYTHON_IN_VENV) -m deploy.local --throwaway --durable -- $(PYTHON_IN_VENV) -m bench $(ARGS)

bench-classify: ## the classifier alone: in process, over RabbitMQ, with two workers
	@deploy/local/install.sh test
	@$(PYTHON_IN_VENV) -m deploy.local --throwaway --servers-only -- $(PYTHON_IN_VENV) -m bench.classify $(ARGS)

bench-similar: ## similar tickets among many open ones; ARGS="--tickets 100000"
	@deploy/local/install.sh test
	@$(PYTHON_IN_VENV) -m deploy.local --throwaway --durable -- $(PYTHON_IN_VENV) -m bench.similar $(ARGS)

lighthouse: ## every page judged as on a phone; 98 or more in each of four, or exit 1; ARGS=/analytics
	@deploy/local/install.sh test
	@[ -d bench/lighthouse/node_modules ] || (cd bench/lighthouse && \
	  PATH="$$PATH:$(CURDIR)/.venv/bin" npm ci --silent --no-audit --no-fund)
	@PATH="$$PATH:$(CURDIR)/.venv/bin" $(PYTHON_IN_VENV) -m deploy.local --throwaway -- $(PYTHON_IN_VENV) -m bench.lighthouse $(ARGS)

screenshots: ## the pages' pictures in docs/, of a throwaway stack with demo data
	@deploy/local/install.sh test
	@$(PYTHON_IN_VENV) -m deploy.local --throwaway -- $(PYTHON_IN_VENV) -m demo.screenshots

bench-live: ## events in thousands of open pages; ARGS="--streams 5000"
	@deploy/local/install.sh test
	@$(PYTHON_IN_VENV) -m deploy.local --throwaway -- $(PYTHON_IN_VENV) -m bench.live $(ARGS)

bench-search: ## words among many tickets; ARGS="--tickets 1000000"
	@deploy/local/install.sh test
	@$(PYTHON_IN_VENV) -m deploy.local --throwaway --durable --servers-only -- $(PYTHON_IN_VENV) -m bench.search $(ARGS)

bench-scale: ## the reports with 10^4, 10^6 and 10^7 tickets, rebuilds, freshness; ARGS="--sizes 10000"
	@deploy/local/install.sh test
	@$(PYTHON_IN_VENV) -m deploy.local --throwaway --durable -- $(PYTHON_IN_VENV) -m bench.scale $(ARGS)

overload: ## five times what can be served, then recovery; ARGS="--minutes 10"
	@deploy/local/install.sh test
	@$(PYTHON_IN_VENV) -m deploy.local --throwaway --durable -- $(PYTHON_IN_VENV) -m bench.overload $(ARGS)

faults: ## kill, hang, cut and fill everything under load, then compare; ARGS="--minutes 15 --seed 7"
	@deploy/local/install.sh test
	@$(PYTHON_IN_VENV) -m tests.faults $(ARGS)

backup: ## the tickets into backups/ while everything runs; FILE=… for another place
	@$(PYTHON_IN_VENV) -m deploy.backup backup $(FILE)

restore: ## the tickets from FILE=…, into a helpdesk that is stopped
	@$(PYTHON_IN_VENV) -m deploy.backup restore $(FILE)

dead-letters: ## what queues refused; ARGS="show ID", "replay ID", "drop ID"
	@set -a; [ ! -e .local/env ] || . ./.local/env; $(PYTHON_IN_VENV) -m bus dead-letters $(or $(ARGS),list)

env: ## write .env for docker compose, with random secrets
	@python3 deploy/compose_env.py

lock: ## bring requirements.lock up to date with pyproject.toml
	@.venv/bin/uv pip compile --quiet --native-tls pyproject.toml --all-extras --group dev --universal \
	  --generate-hashes --no-annotate --no-header --output-file requirements.lock

retrain: ## learn from helpdesk's corrections; ARGS=--back withdraws the last promoted model
	@[ ! -e .local/env ] || . ./.local/env; export CLASSIFIER_DATA_DIR; \
	  $(PYTHON_IN_VENV) -m deploy.local.users classifier_svc $(PYTHON_IN_VENV) -m classifier_svc.retrain $(ARGS)

messages: ## bring the translations in */locale up to date with the sentences
	@mkdir -p build
	@for service in web analytics_svc; do \
	  .venv/bin/pybabel -q extract -F i18n/babel.ini -k N_ --no-wrap --add-location=file -o build/$$service.pot $$service; \
	  for language in it de es fr; do .venv/bin/pybabel -q update --init-missing --no-fuzzy-matching --ignore-obsolete \
	    --no-wrap --omit-header -i build/$$service.pot -o $$service/locale/$$language.po -l $$language; done; done

audit: ## licences, known advisories and a list of all parts; 2 where a database cannot be reached
	@deploy/local/install.sh test
	@$(PYTHON_IN_VENV) -m deploy.audit $(ARGS)

train: ## train the classifier from its sentences
	@$(PYTHON_IN_VENV) -m classifier_svc.train

.PHONY: help run test lint demo bench bench-classify bench-similar bench-live bench-search bench-scale lighthouse screenshots retrain overload faults backup restore dead-letters env lock messages audit train

# `make` alone says what there is. Only the Rust toolchain and a C compiler are needed, except where it says otherwise.

CARGO ?= cargo
# Where cargo builds.
TARGET := $(or $(CARGO_TARGET_DIR),target)
# Passed on to what is run: `make demo ARGS='--images 500'`.
ARGS ?=

.PHONY: help demo demo-iot run build web test lint bench

help:
	@echo 'make demo    3,000 photographs through the example service, with 0 to 25 workers; ends with a summary'
	@echo 'make demo-iot a sensor and a display on MQTT, wired while they run; needs Python 3 with venv'
	@echo 'make run     the example service, until Ctrl-C; prints its address'
	@echo 'make web     the page that both programs serve; demo and run build it by themselves where Node ≥ 20.19 and npm are'
	@echo 'make test    every test; installs and starts what they need, or says what is missing'
	@echo 'make lint    format, compiler and clippy warnings, licences of dependencies'
	@echo 'make bench   benchmarks, side by side with the peers'
	@echo 'Arguments go in ARGS, such as: make demo ARGS=--help'

web:
	$(CARGO) xtask web

build:
	$(CARGO) xtask web --if-possible
	$(CARGO) build --release --package msgflo-cli --package imageresize

demo: build
	$(TARGET)/release/imageresize demo $(ARGS)

demo-iot:
	$(CARGO) build --release --package msgflo-cli --package thermometer
	$(TARGET)/release/thermometer demo $(ARGS)

run: build
	$(TARGET)/release/msgflo run examples/imageresize/service.fbp --scale examples/imageresize/autoscale.guv.yaml $(ARGS)

test:
	$(CARGO) xtask test $(ARGS)

lint:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets -- --deny warnings
	$(CARGO) xtask deny

bench:
	$(CARGO) xtask bench $(ARGS)

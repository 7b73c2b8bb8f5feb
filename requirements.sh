#!/usr/bin/env bash
# Make the two hash-pinned locks from pyproject.toml: universal for Python 3.11-3.13, without any registry's address.
set -euo pipefail
cd "$(dirname "$0")"
compile() {
    uv pip compile --quiet --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 \
        pyproject.toml "$@"
}
compile --extra pipeline --output-file requirements.lock
compile --extra dev --constraint requirements.lock --output-file requirements-dev.lock

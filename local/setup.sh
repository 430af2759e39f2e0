#!/bin/sh
# Makes what the local stack and the tests need: .venv (requirements-dev.txt) and node_modules (package.json).
# Does nothing when that is there and nothing it depends on has changed. Exit code 2: something must be installed first.
set -eu
cd "$(dirname "$0")/.."
stamp=.venv/installed

say() {
    echo "$1" >&2
    exit 2
}

# A Python with all that is needed to make an environment of its own (Debian cuts ensurepip out).
suits() {
    "$1" -c "import sys, ssl, sqlite3, venv, ensurepip; sys.exit(sys.version_info[:2] != (3, $2))" >/dev/null 2>&1
}

find_python() {
    for minor in 13 12 11; do
        for candidate in "python3.$minor" python3 python "${PYENV_ROOT:-$HOME/.pyenv}/versions/3.$minor".*/bin/python3; do
            if suits "$candidate" "$minor"; then
                echo "$candidate"
                return
            fi
        done
    done
}

wanted() {
    cksum requirements.txt requirements-dev.txt package.json package-lock.json local/setup.sh
}

node -e 'process.exit(Number(process.versions.node.split(".")[0]) < 20 ? 1 : 0)' >/dev/null 2>&1 && command -v npm >/dev/null ||
    say "Node.js 20 or newer with npm is missing: install it (it runs the storage emulator) and try again."

if [ -f "$stamp" ] && [ "$(wanted)" = "$(cat "$stamp")" ] && [ -d node_modules/azurite ] && .venv/bin/python -c "" 2>/dev/null; then
    exit 0
fi

python=$(find_python)
[ -n "$python" ] || say "Python 3.13, 3.12 or 3.11 (with venv) is missing: install one of them and try again."

rm -f "$stamp"
echo "Installing what the project needs into .venv ($("$python" --version)) and node_modules ..."
"$python" -m venv --clear .venv
.venv/bin/python -m pip install --quiet --quiet --disable-pip-version-check -r requirements-dev.txt
npm ci --loglevel=error
wanted >"$stamp"

#!/bin/sh
# Every route that the server answers stands in docs/api.yaml, and the reverse.
set -eu

# routes DIR: METHOD and path of each row of the tables
routes() {
	cat "$1"/common/flow/serve_*.c | sed -nE 's|^\t\{ "([A-Z]+)", "([^"]+)", SERVE_[A-Z]+.*|\1 \2|p' | sort -u
}
# described FILE: the same, of the description
described() {
	awk '
	/^  \/v1\/vaults\/\{vault\}\// { path = $1; sub(/^\/v1\/vaults\/\{vault\}\//, "", path); sub(/:$/, "", path)
		gsub(/\{[a-z]+\}/, "*", path); next }
	/^  [^ ]/ { path = "" }
	/^    (get|put|post|delete|head):/ && path != "" { m = $1; sub(/:$/, "", m); print toupper(m), path }
	' "$1" | sort -u
}

# It notices one too many and one too few.
mkdir -p seeded/common/flow
printf '\t{ "GET", "a/*", SERVE_READ, 0, f, NULL },\n\t{ "PUT", "b", SERVE_WRITE, 0, f, NULL },\n' >seeded/common/flow/serve_x.c
printf 'paths:\n  /v1/vaults/{vault}/a/{id}:\n    get:\n  /v1/vaults/{vault}/c:\n    put:\n' >seeded/api.yaml
routes seeded >have
described seeded/api.yaml >said
[ "$(comm -12 have said)" = 'GET a/*' ] && [ "$(comm -23 have said)" = 'PUT b' ] && [ "$(comm -13 have said)" = 'PUT c' ] ||
    { echo "the check does not read its own example"; cat have said; exit 1; }

routes "$TOP" >have
described "$TOP/docs/api.yaml" >said
[ -s have ] || { echo "no routes were found"; exit 1; }
diff have said >differ || { echo "routes (<) and docs/api.yaml (>) differ:"; cat differ; exit 1; }
if command -v python3 >/dev/null && python3 -c 'import yaml' 2>/dev/null; then
	python3 -c 'import sys, yaml; yaml.safe_load(open(sys.argv[1]))' "$TOP/docs/api.yaml"
fi
echo "$(wc -l <have) routes"

#!/bin/sh
# Print docs/errors.md from common/base/errors.def:
#   sh docs/make-errors.sh >docs/errors.md
# The compiler reads the table, so what is printed is what the programs say.
set -eu
top=$(cd "$(dirname "$0")/.." && pwd)
tmp=$(mktemp -d "${TMPDIR:-/tmp}/samara-errors.XXXXXX")
trap 'rm -rf "$tmp"' EXIT

cat >"$tmp/print.c" <<'C'
#include <stdio.h>
static const struct { const char *name, *cause, *cure; int number, status; } rows[] = {
#define ERRDEF(name, number, exit, cause, cure) { #name, cause, cure, number, exit },
#include "common/base/errors.def"
};
static const char *const titles[] = { "The system", "Usage and input", "Disks and images",
	"Keys and credentials", "Vaults", "Damage", "Rules", "The line" };
static void
cell(const char *s)
{
	for (; *s != '\0'; s++)
		printf(*s == '|' ? "\\|" : "%c", *s);
}
int
main(void)
{
	int group = -1;

	for (unsigned i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (rows[i].number / 100 != group) {
			group = rows[i].number / 100;
			printf("\n## %s\n\n| number | exit | what it means | what to do |\n|---|---|---|---|\n",
			    group >= 10 && group <= 17 ? titles[group - 10] : "Others");
		}
		printf("| S-%04d | %d | ", rows[i].number, rows[i].status);
		cell(rows[i].cause);
		printf(" | ");
		cell(rows[i].cure);
		printf(" |\n");
	}
	return 0;
}
C
"${CC:-cc}" -std=c17 -I "$top" -o "$tmp/print" "$tmp/print.c"

cat <<'MD'
# Errors

Made by `sh docs/make-errors.sh` from `common/base/errors.def`; do not edit it here.

A message says what was being done, to what, what went wrong, and what to do next. It ends in a number such as
`S-1203`; with `--json` the same number stands in the field `code`. Numbers are never reused and never change their
meaning. The message at hand knows more than this page: where it names a next step, that step is the one to take.

Scripts should look at the exit status:

| exit | meaning |
|---|---|
| 0 | done |
| 1 | failed; or `status` has something that needs a hand |
| 2 | the command line is wrong |
| 3 | done, but not everything: what was left out is named |
| 4 | damage or tampering that nothing made good |
| 10 | no vault, image or snapshot there |
| 11 | busy or locked |
| 12 | passphrase, credential or authentication refused |
| 13 | another disk or more space is needed; go on with `--resume` |
| 14 | wrong disk, vault, machine or target |
| 15 | vault out of reach |
| 16 | stopped by a limit or rule; nothing was done |
| 130 | interrupted |
MD
"$tmp/print"

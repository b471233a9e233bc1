#!/bin/sh
# What a tool can do is said the same in its --help, in its man page and in its
# completion: the same commands, and every option of --help in the other two.
set -eu
rc=0
n=0

# Commands as --help lists them: one word or two, then two blanks or more.
help_commands() {
	sed -n 's/^  \([a-z]*\( [a-z]*\)\{0,1\}\)  .*/\1/p' "$1" | sed 's/ *$//' | sort -u
}
# Commands as the man page heads them: the small words after the "##".
man_commands() {
	awk '/^# / { inside = $2 == "COMMANDS" }
	inside && /^## / {
		name = ""
		for (i = 2; i <= NF && $i ~ /^[a-z]+$/; i++) name = name (i > 2 ? " " : "") $i
		print name
	}' "$1" | sort -u
}

for tool in seed import verify; do
	man=$TOP/docs/man/samara-$tool.1.scd
	completion=$TOP/docs/completions/samara-$tool
	"samara-$tool" --help >help
	help_commands help >help.commands
	man_commands "$man" >man.commands
	[ -s help.commands ] || { echo "samara-$tool --help names no command:"; cat help; exit 1; }
	diff help.commands man.commands >differ ||
	    { echo "samara-$tool: --help (<) and man page (>) name different commands:"; cat differ; rc=1; }
	while read -r command; do
		n=$((n + 1))
		# shellcheck disable=SC2086 # one word or two
		"samara-$tool" $command --help </dev/null >command.help 2>&1 ||
		    { echo "samara-$tool $command --help fails"; rc=1; continue; }
		for word in $command; do
			grep -qwF -- "$word" "$completion" || { echo "$completion: no $command"; rc=1; }
		done
		for option in $(grep -oE -- '(^|[ [|(])--[a-z][a-z-]+' command.help | tr -d ' [|(' | sort -u); do
			grep -qF -- "*$option" "$man" || { echo "$man: no $option (samara-$tool $command)"; rc=1; }
			grep -qF -- "$option" "$completion" || { echo "$completion: no $option"; rc=1; }
		done
	done <help.commands
done
echo "$n commands"
exit $rc

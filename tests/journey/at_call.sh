# shellcheck shell=sh
# A tool that is killed, or stands still, at a call of the journey's choice and
# not at some moment: sourced by a journey.  CALL is one that at_call.c has,
# counted over all threads of the tool.
#
#   killed_at CALL N COMMAND...	run it: 0 if it died before its Nth CALL; else it ended before,
#				1, and $rc is its exit status
#   stopped_at CALL N COMMAND...	run it in the background, $pid: 0 when it stands still before its
#				Nth CALL; else it ended before, 1 and $rc.  goes_on lets it go on
#   goes_on			and its exit status is in $rc
#   is_there PID		it runs, or stands still
#   until_so PID COMMAND...	wait until the command is true: 0; 1 if the process is gone, and it is not

# at_call CALL N SIGNAL COMMAND...: in the background, $pid
at_call() {
	at_call_at=$1:$2:$3
	shift 3
	# A sanitizer wants to be the first library of all, and need not be.
	env AT_CALL="$at_call_at" LD_PRELOAD="$BUILD/tests/libat_call.so" \
	    ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}verify_asan_link_order=0" "$@" &
	pid=$!
}

# state_of PID: R, S, D, T, Z as ps says; nothing if it is gone
state_of() { sed -n 's/.*) \(.\).*/\1/p' "/proc/$1/stat" 2>/dev/null || true; }

is_there() {
	case $(state_of "$1") in
	''|Z|X) return 1 ;;
	esac
}

is_stopped() { [ "$(state_of "$1")" = T ]; }

until_so() {
	until_so_pid=$1
	shift
	until "$@" >/dev/null 2>&1 || ! is_there "$until_so_pid"; do sleep 0.01; done
	"$@" >/dev/null 2>&1
}

killed_at() {
	at_call_call=$1 at_call_n=$2
	shift 2
	at_call "$at_call_call" "$at_call_n" 9 "$@"
	rc=0
	wait "$pid" 2>/dev/null || rc=$?
	[ "$rc" = 137 ]
}

stopped_at() {
	at_call_call=$1 at_call_n=$2
	shift 2
	at_call "$at_call_call" "$at_call_n" 19 "$@"
	! until_so "$pid" is_stopped "$pid" || return 0
	rc=0
	wait "$pid" || rc=$?
	return 1
}

goes_on() {
	kill -CONT "$pid"
	rc=0
	wait "$pid" || rc=$?
}

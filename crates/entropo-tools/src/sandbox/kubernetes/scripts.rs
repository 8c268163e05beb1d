//! What runs inside the pod beside the commands: `sh`, by what every shell has built in.
//!
//! Processes of one command are found as on this machine: each carries a limit of its resident memory, which is inherited,
//! changes nothing and cannot be raised again. A process group would lose everyone who starts a group of their own.

/// The pod's first process. It waits for all children, also those it did not start, so that no zombies are left.
pub(super) const FIRST_PROCESS: &str = "trap 'exit 0' TERM; while :; do sleep 60 & wait $!; done";

/// Functions for the two scripts below. `$bytes` is the mark as `/proc` shows it.
const FAMILY: &str = r#"
signal_all() {
    found=
    for limits in /proc/[0-9]*/limits; do
        pid=${limits#/proc/}
        pid=${pid%/limits}
        hard=
        while read -r one two three soft hard rest; do
            case "$one $two $three" in "Max resident set") break ;; esac
            hard=
        done 2>/dev/null <"$limits" || continue
        [ "$hard" = "$bytes" ] || continue
        state=
        threads=
        while read -r key value rest; do
            case "$key" in State:) state=$value ;; Threads:) threads=$value; break ;; esac
        done 2>/dev/null <"/proc/$pid/status" || continue
        case "$state$threads" in Z[01] | X[01] | '') continue ;; esac
        found=yes
        kill -"$1" "$pid" 2>/dev/null
    done
    [ -n "$found" ]
}
kill_all() {
    sweeps=0
    while signal_all KILL; do
        sweeps=$((sweeps + 1))
        [ "$sweeps" -le 60 ] || return 1
        [ "$sweeps" -le 20 ] || sleep 0.05 2>/dev/null || sleep 1
    done
}
"#;

/// Runs a command and then kills what it left. Arguments: the mark in KiB, the directory, and what `env` takes. The code
/// it exits with is the command's, or 128 and the signal.
///
/// What is left is killed at once, as a container engine does not tell of the end of a command while somebody holds its
/// output.
pub(super) fn run() -> String {
    format!(
        r#"mark=$1 directory=$2; shift 2; bytes=$((mark * 1024))
{FAMILY}
(ulimit -c 0; ulimit -m "$mark" && cd "$directory" && exec env "$@" || exit 125) 2>&1
code=$?
kill_all
exit "$code""#
    )
}

/// Signals a family. Arguments: the mark in KiB, and a signal's name; `KILL` kills until nobody is left, else it fails.
pub(super) fn signal() -> String {
    format!(
        r#"bytes=$(($1 * 1024))
{FAMILY}
case "$2" in KILL) kill_all ;; *) signal_all "$2"; : ;; esac"#
    )
}

//! Commands that turn the shell they run in against the tool.

use super::*;

for_each_kind! {
    a_shell_that_is_turned_against_its_tool_can_be_replaced,
    a_shell_without_input_is_replaced_by_itself,
    a_shell_that_ended_between_calls_is_told_and_replaced,
    a_forged_end_is_of_its_own_call_only,
}

/// Prints the sign by which a command ends, with these numbers, as whoever looks for it can.
fn forged(numbers: &str) -> String {
    let word = "$(tr '\\0' '\\n' < /proc/$$/cmdline | grep -o 'entropo-[0-9a-f]*-[0-9]*' | head -n 1)";
    format!("printf '\\036%s %s\\n' \"{word}\" \"{numbers}\"")
}

/// The number of the command that runs.
const OWN: &str = "${entropo_line%% *}";

async fn a_shell_that_is_turned_against_its_tool_can_be_replaced(kind: SandboxKind) {
    let Some((_place, terminal)) = terminal(kind).await else { return };
    let cases = [
        "printf() { :; }".to_owned(),
        "exec >/dev/null".to_owned(),
        "exec <&-".to_owned(),
        "set -e; false".to_owned(),
        "trap '' INT TERM HUP; while :; do sleep 0.1; done".to_owned(),
        "mkdir gone; cd gone; rmdir ../gone; pwd".to_owned(),
        format!("{}; sleep 60", forged(&format!("{OWN} 7"))),
        "entropo_line=; unset entropo_line".to_owned(),
        "exec sleep 60".to_owned(),
        "kill -STOP $$".to_owned(),
    ];
    for case in cases {
        run(&terminal, &case).await;
        // Where the shell has ended by itself, there is nothing to kill.
        signal(&terminal, TerminalSignal::Kill).await;
        assert_eq!(run(&terminal, "echo ok").await, "ok", "after {case}");
        assert_eq!(run(&terminal, "false").await, "[exit status 1]", "after {case}");
    }
}

async fn a_shell_without_input_is_replaced_by_itself(kind: SandboxKind) {
    let Some((_place, terminal)) = terminal(kind).await else { return };
    run(&terminal, "exec <&-").await;
    run(&terminal, "echo whoever is told that the shell ended").await;
    assert_eq!(run(&terminal, "echo ok").await, "ok");
}

async fn a_shell_that_ended_between_calls_is_told_and_replaced(kind: SandboxKind) {
    let Some((_place, terminal)) = terminal(kind).await else { return };
    let marker = marker();
    assert_eq!(run(&terminal, &format!("sleep {marker} & (sleep 1; kill -9 $$) & echo set")).await, "set");
    until("it runs", || runs(&marker)).await;
    until("the shell and what it left are gone", || !runs(&marker)).await;
    let told = run(&terminal, "echo whoever is told").await;
    assert!(told.starts_with("[the shell was killed by signal 9]"), "{told}");
    assert_eq!(run(&terminal, "echo ok").await, "ok");
}

async fn a_forged_end_is_of_its_own_call_only(kind: SandboxKind) {
    let Some((_place, terminal)) = terminal(kind).await else { return };
    let terminal = terminal.idle(Duration::from_secs(30));
    // It ends its own call; its true end comes later and is nobody's.
    let own = format!("{}; sleep 1", forged(&format!("{OWN} 7")));
    assert_eq!(run(&terminal, &own).await, "[exit status 7]");
    for (command, shown) in [("false", "[exit status 1]"), ("echo ok", "ok"), ("false", "[exit status 1]")] {
        assert_eq!(run(&terminal, command).await, shown, "{command}");
    }
    // Nor does it end a later call, or any without a number.
    for other in ["7", &format!("$(( {OWN} + 1 )) 7"), &format!("$(( {OWN} - 1 )) 7")] {
        run(&terminal, &format!("{}; true", forged(other))).await;
        assert_eq!(run(&terminal, "false").await, "[exit status 1]", "{other}");
    }
}

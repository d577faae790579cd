// Package runner is the runner role: it starts programs ("units"), watches them, collects their output and ends them
// with all their descendants. It knows no deployments: a unit is a task, a one-off task, a command hook or a function
// sandbox, and only Mode tells them apart.
//
// # Contract
//
//  1. A unit's record (one JSON file in Dir/units, temp + sync + rename) is durable before anything is started for it.
//  2. A program executes its first instruction only after its pid and start time are durable. It is started through a
//     launcher (this same binary, see [Launch]) that waits on a pipe for the word to go on; a runner that dies closes
//     the pipe and the launcher ends without having started anything. So there is no moment at which a crash leaves a
//     program running that the journal does not know, and a unit of mode once is run at most once.
//  3. Programs outlive the runner. A new runner finds them by boot id, pid and start time, watches them by pidfd and
//     starts services again that ended meanwhile. An exit status that nobody saw is Exit.Known == false, never a guess.
//     After a reboot services start again; once units that were running have ended with an unknown status.
//  4. When a main process ends or is stopped, all its descendants end with it, also those that called setsid: by cgroup
//     where one is writable, else by the environment marker, the session and the parents of /proc (which a daemon
//     escapes that clears its environment, leaves the session and loses its parent). A service that forks into the
//     background and lets its main process exit is therefore not supported.
//  5. A program sees Spec.EnvFile, Spec.Env (which wins), HOST, PORT (which win over both, since they are facts), PATH
//     and HOME where absent, and two markers. Nothing of the runner's own environment.
//  6. Output goes through two FIFOs that runner and program hold open for reading and writing, so that neither side's
//     death breaks the other. Bytes are taken out of a FIFO only after they were written to the log file: a runner that
//     is killed may repeat its last lines in the log, it loses none. Only when program and runner are both dead before
//     the text was read, what was still in the FIFO (at most 256 KiB) is lost, unless Config.Keep holds it. While no
//     runner lives a program that prints more than a FIFO holds waits.
//  7. When the context of Run ends, programs go on and nothing is written that says otherwise. StopAll stops them.
//
// The control interface is HTTP with JSON on a unix socket of mode 0600 ([Listen], [NewClient]); whoever may connect
// may start any program as the runner's user.
package runner

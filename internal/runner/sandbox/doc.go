// Package sandbox runs Lambda functions as ordinary processes on this machine.
//
// A function is any handler written for AWS Lambda: Python (module.function), Node (file.function) or an executable
// named bootstrap (provided.*). It runs unmodified: its environment holds AWS_LAMBDA_RUNTIME_API=host:port and this
// package is the server at that address, speaking the public Runtime API (version 2018-06-01).
//
// The contract:
//
//   - An invocation is accepted durably: [Manager.Invoke] returns after the journal holds it. Its id is the request id
//     that the handler sees; a second Invoke of the same id does nothing.
//   - An invocation is handed to a process at most once. The journal says "handed" before the answer to the runtime's
//     "next" is written, and a handed invocation is never handed again. Where a crash leaves it open whether the
//     handler ran to its end, the state is [StateUnknown], never success and never failure.
//   - A sandbox (one process tree with its own Runtime API listener) serves one invocation at a time and is reused for
//     the same function version, endpoint and valid credentials. Module state survives as it does on Lambda.
//   - Sandboxes outlive the manager. A handler that was running while the manager was killed posts its response to the
//     next manager: at the same listener where it was kept (Config.Keep), else at the same address bound anew.
//   - Output goes to a log stream per sandbox with START, END and REPORT lines, bounded in size.
//
// Life of an invocation, with what the journal holds:
//
//	accepted ── handed ── answered ── finished
//	    │          │                     ▲
//	    │          └── timeout, crash, ──┤
//	    └── init error, cancelled, ──────┘
//
// After a restart: accepted is run, handed waits for the sandbox that has it, answered has its log completed.
//
// Processes are started and reaped by somebody else, behind [Units].
package sandbox

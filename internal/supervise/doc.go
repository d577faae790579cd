// Package supervise is the serve role: it opens listening sockets, starts the role processes, restarts what dies
// and keeps their sockets meanwhile, so that a connect waits in the kernel's queue instead of being refused.
//
// # Two sides
//
// A role (controller, proxy, runner) calls [Receive] first thing in its process and gets a [Handover]: its listeners by
// name, [Handover.Ready] to say that it serves, [Handover.Keep] to leave a socket that it opened later with the
// supervisor. The supervisor is a [Supervisor] made by [New] and run by [Supervisor.Run].
//
// Between the two stand systemd's own contracts, so that a role runs unchanged as a unit of its own (Type=notify,
// sockets from .socket units, FileDescriptorStoreMax= set, NotifyAccess=main):
//
//   - LISTEN_FDS, LISTEN_FDNAMES and, when present, LISTEN_PID hand sockets over; see sd_listen_fds(3). Names are
//     percent-encoded by [EncodeName], since systemd allows neither ':' nor control characters in them.
//   - NOTIFY_SOCKET takes datagrams; see sd_notify(3). READY=1, STATUS=, FDSTORE=1 with FDNAME= and FDSTOREREMOVE=1
//     are understood, and X_GREENGATE_DOWN=1 ([StateDown]) asks for the end of every role. Only datagrams of a role's
//     main process count: the kernel vouches for the sender's pid.
//
// # What the data folder holds
//
//	lock               flock of the one supervisor; its pid, for the message that refuses a second one
//	logs/<role>.log    stdout and stderr of the role, appended directly, so no pipe breaks when the supervisor dies
//	roles/<role>.json  the Status of the role, for people and tools
//	run/notify.sock    NOTIFY_SOCKET; a new supervisor binds the same path
//	run/<role>.lock    flock held by the living process of the role; its pid, start time and boot id
//	run/<role>.fds     a socket on which the role's process gives copies of its named sockets to a new supervisor
//
// # One process a role
//
// The supervisor takes run/<role>.lock before it forks and the child inherits it, so there is no moment in which a role
// runs and does not hold its lock. A new supervisor that finds the lock free knows that nobody runs; that finds it held
// adopts the process named in it (boot id and start time must match), watches it through a pidfd, and fetches its
// sockets over run/<role>.fds. A process that is run by something else (a systemd unit, a shell) takes the same lock
// with [Handover.Claim]; the supervisor then refuses to start.
//
// # What ends what
//
//   - The context of Run ends (SIGTERM): roles with Survives=false are stopped, the others go on with their sockets and
//     the next supervisor adopts them. With Ephemeral all are stopped.
//   - [StateDown] from a role, or [Supervisor.StopAll]: all are stopped, Run returns nil.
//   - SIGKILL of the supervisor stops nothing. This holds for Ephemeral as well: its roles go on until the next
//     supervisor on the same folder adopts and ends them. Under systemd the unit of serve needs KillMode=process, for
//     the same reason.
//
// Stopping goes in reverse order of the start (see [Role.After]), one role after the other.
package supervise

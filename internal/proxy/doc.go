// Package proxy is the L7 data plane: it serves listeners by a table, counts every request in a ledger, and knows
// nothing of deployments.
//
// # Table
//
// The whole state is one [Table], replaced as a whole and saved before it is acknowledged. The table is read for each
// request, also on client connections that stay open: a swap reloads no listener and closes no connection. A request
// chooses its target and is counted in flight under a lock that a swap excludes, so once [Client.Apply] has
// answered, no request that arrives later can reach the old choice, and a drain sees every request that still does.
//
// # Rules
//
// A listener may have rules as an Application Load Balancer has: by priority, the first whose conditions all hold
// decides where a request goes, see [Rule]. A target stays chosen: neither a retry nor a swap asks the rules again for a
// request that has been claimed.
//
// # Retries
//
// A request is tried on another target only while nothing of it was sent: the connect failed, or a pooled connection
// proved dead before its first byte was written. After that it is never sent again. (An h2c target may say by
// REFUSED_STREAM or GOAWAY that it did not look at a request; RFC 9113 8.7 makes that as safe as a failed connect,
// and net/http repeats it.)
//
// # Clients that leave
//
// A client that closes its connection, or only its sending side, while its target works for more than 100 ms is taken for
// gone, and the target's connection is closed, as other proxies do.
//
// # Ledger
//
// Requests are counted in files that outlive the process, see [Ledger]. started is written first and the outcome
// last, so what a killed process had in flight is found in the file and booked as cut, once, at the next start. A
// file whose name is in no listener may be deleted; one that is in use must not be truncated, it is mapped.
//
// # Shadows
//
// For as long as somebody asks, a share of the GET and HEAD requests of a group is sent a second time, to another group,
// when its client has the answer, or as much of it as is kept: see [ShadowSpec]. The answer of a copy is only compared. Copies are bounded in number and in
// bytes and dropped beyond that; they are in no ledger, no meter and no count of what is in flight.
//
// # Requests that are refused
//
// HTTP/1 is parsed strictly, and what two parsers could read in two ways is answered 400: Content-Length together with
// Transfer-Encoding, any repeated Content-Length or Host, any transfer coding but chunked, bare CR or LF, folded lines,
// white space before a colon, malformed chunks. The bytes of a request target pass unaltered.
package proxy

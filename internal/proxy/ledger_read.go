package proxy

import "time"

// Ledger counts the requests of its listeners by group and outcome.
type Ledger struct {
	Name string      `json:"name"`
	Rows []LedgerRow `json:"rows"`
}

// LedgerRow holds the counters of one group; the row of group "" has the requests that reached none. At rest
// Started = Served + Failed5xx + Cut + ClientAborted + Unrouted; the difference is in flight.
type LedgerRow struct {
	Group string `json:"group"`
	// Started counts requests whose head was read and that were given to the group.
	Started uint64 `json:"started"`
	// Served counts whole responses with a status under 500, and upgraded connections that ended by themselves.
	Served uint64 `json:"served"`
	// Failed5xx counts whole responses with a status of 500 and more, those of the data plane (502, 503, 504) included.
	Failed5xx uint64 `json:"failed_5xx"`
	// Retried counts further attempts of requests of which nothing had been sent. They are no outcome.
	Retried uint64 `json:"retried"`
	// Cut counts responses that the target or the data plane broke after they began, and what was in flight when the
	// data plane was killed.
	Cut uint64 `json:"cut"`
	// ClientAborted counts requests that the client left or broke; they are no fault of the group.
	ClientAborted uint64 `json:"client_aborted"`
	// Unrouted counts requests that found no usable target (503).
	Unrouted uint64 `json:"unrouted"`
	// Latency is the time from the end of the request head to the head of the response, for all that got one.
	Latency Histogram `json:"latency"`
}

// InFlight is what was started and has no outcome yet.
func (r LedgerRow) InFlight() uint64 {
	return r.Started - r.Served - r.Failed5xx - r.Cut - r.ClientAborted - r.Unrouted
}

// Row returns the counters of a group; all zero if the ledger has none.
func (l Ledger) Row(group string) LedgerRow {
	for _, r := range l.Rows {
		if r.Group == group {
			return r
		}
	}
	return LedgerRow{Group: group}
}

// Histogram is a latency histogram: only buckets that counted something, in rising order.
type Histogram []Bucket

// Bucket counts values in [From, To).
type Bucket struct {
	From  time.Duration `json:"from"`
	To    time.Duration `json:"to"`
	Count uint64        `json:"count"`
}

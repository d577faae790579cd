package proxy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"math"
	"math/bits"
	"os"
	"path/filepath"
	"strings"
	"time"
)

// Layout of a ledger file, version 1. Numbers are in the byte order of the host; all offsets are bytes.
//
//	0      magic "GGLEDGER", uint32 version, uint32 header size, uint32 row size, uint32 buckets,
//	       uint32 length of the name, name (up to 100), uint32 CRC-32 (IEEE) of all before; then zeros up to 64 KiB
//	64 Ki  segments of 16 rows of 4 KiB; a file grows by whole segments
//
// A row: word 0 = state in the low half (0 free, 1 used) and length of the name in the high half, words 1 to 31 the
// name, words 32 to 479 the latency histogram, words 480 to 485 served, failed5xx, cut, client aborted, unrouted,
// retried, word 511 started. A word is a uint64. started stands last, so that who copies a row from its start to its
// end while it is being counted never finds more outcomes than requests.
//
// Histogram: bucket i < 16 counts i microseconds; then each power of two is cut into 16 buckets (so a quantile is
// at most 6.25 % too high). Bucket 447, the last, begins at 2080374784 us (34.7 min) and has no end.
const (
	ledgerMagic    = "GGLEDGER"
	ledgerVersion  = 1
	ledgerHeader   = 64 << 10
	rowWords       = 512
	rowSize        = rowWords * 8
	segmentRows    = 16
	segmentSize    = segmentRows * rowSize
	maxSegments    = 256
	latencyBuckets = 448
	subBuckets     = 16
	rowNameBytes   = 31 * 8
	rowUsed        = 1

	wordName    = 1
	wordLatency = 32
	wordServed  = 480
	wordFailed  = 481
	wordCut     = 482
	wordAborted = 483
	wordUnrout  = 484
	wordRetried = 485
	wordStarted = 511
)

const ledgerSuffix = ".ledger"

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

// Histogram is a latency histogram: only the buckets that counted something, in rising order.
type Histogram []Bucket

// Bucket counts values in [From, To). The last bucket of the file has no upper end; To is then its nominal one.
type Bucket struct {
	From  time.Duration `json:"from"`
	To    time.Duration `json:"to"`
	Count uint64        `json:"count"`
}

// Total is the number of values counted.
func (h Histogram) Total() uint64 {
	var n uint64
	for _, b := range h {
		n += b.Count
	}
	return n
}

// Quantile returns a bound under which at least the share q (0 to 1) of the values lies, at most 6.25 % too high; 0
// when nothing was counted.
func (h Histogram) Quantile(q float64) time.Duration {
	total := h.Total()
	if total == 0 {
		return 0
	}
	rank := uint64(math.Ceil(min(max(q, 0), 1) * float64(total)))
	var seen uint64
	for _, b := range h {
		seen += b.Count
		if seen >= rank {
			return b.To
		}
	}
	return h[len(h)-1].To
}

// bucketOf returns the bucket of a latency.
func bucketOf(d time.Duration) int {
	us := uint64(max(d, 0) / time.Microsecond)
	if us < subBuckets {
		return int(us)
	}
	e := bits.Len64(us) - 1
	return min((e-3)*subBuckets+int((us>>(e-4))&(subBuckets-1)), latencyBuckets-1)
}

// bucketRange returns what bucket i counts.
func bucketRange(i int) (from, to time.Duration) {
	if i < subBuckets {
		return time.Duration(i) * time.Microsecond, time.Duration(i+1) * time.Microsecond
	}
	shift := i/subBuckets - 1
	m := i % subBuckets
	unit := time.Microsecond << shift
	return unit * time.Duration(subBuckets+m), unit * time.Duration(subBuckets+m+1)
}

// ReadLedger reads a ledger file, also while a data plane counts in it, and without one. A file that is torn or is
// something else gives an error that is [ErrLedger].
func ReadLedger(path string) (Ledger, error) {
	// What a live file shows can only look inconsistent for the length of one copy, so a second look settles it.
	for try := 0; ; try++ {
		l, err := readLedgerOnce(path)
		if err == nil || !errors.Is(err, ErrLedger) || try == 2 {
			return l, err
		}
	}
}

func readLedgerOnce(path string) (Ledger, error) {
	f, err := os.Open(filepath.Clean(path))
	if err != nil {
		return Ledger{}, fmt.Errorf("open ledger: %w", err)
	}
	defer func() { _ = f.Close() }()
	b, err := io.ReadAll(io.LimitReader(f, ledgerHeader+maxSegments*segmentSize+1))
	if err != nil {
		return Ledger{}, fmt.Errorf("read ledger: %w", err)
	}
	l, err := parseLedger(b)
	if err != nil {
		return Ledger{}, fmt.Errorf("read ledger %s: %w", path, err)
	}
	return l, nil
}

func ledgerFault(format string, args ...any) error {
	return fmt.Errorf("%w: %s", ErrLedger, fmt.Sprintf(format, args...))
}

// headerBytes makes the header of a ledger file, without the zeros.
func headerBytes(name string) []byte {
	order := binary.NativeEndian
	b := []byte(ledgerMagic)
	for _, v := range []uint32{ledgerVersion, ledgerHeader, rowSize, latencyBuckets, uint32(len(name))} { //nolint:gosec // at most 100
		b = order.AppendUint32(b, v)
	}
	b = append(b, name...)
	return order.AppendUint32(b, crc32.ChecksumIEEE(b))
}

// parseHeader checks the header and returns the name in it.
func parseHeader(b []byte) (string, error) {
	const fixed = len(ledgerMagic) + 5*4
	if len(b) < ledgerHeader {
		return "", ledgerFault("%d bytes are too few for a header", len(b))
	}
	if string(b[:len(ledgerMagic)]) != ledgerMagic {
		return "", ledgerFault("the file does not begin with %q", ledgerMagic)
	}
	n := binary.NativeEndian.Uint32(b[fixed-4:])
	if n > maxLedgerName {
		return "", ledgerFault("the header is torn, or of another version or byte order")
	}
	name := string(b[fixed : fixed+int(n)])
	if want := headerBytes(name); string(b[:len(want)]) != string(want) || !validLedgerName(name) {
		return "", ledgerFault("the header is torn, or of another version or byte order")
	}
	return name, nil
}

// parseLedger reads the bytes of a file. A half-written last segment that holds only zeros is one whose growth was
// interrupted, and counts as absent.
func parseLedger(b []byte) (Ledger, error) {
	name, err := parseHeader(b)
	if err != nil {
		return Ledger{}, err
	}
	l := Ledger{Name: name}
	rows := b[ledgerHeader:]
	if tail := rows[len(rows)/segmentSize*segmentSize:]; !allZero(tail) {
		return Ledger{}, ledgerFault("the last %d bytes are no whole segment", len(tail))
	}
	if len(rows) > maxSegments*segmentSize {
		return Ledger{}, ledgerFault("the file is too long")
	}
	seen := map[string]bool{}
	for i := range len(rows) / segmentSize * segmentRows {
		words := rows[i*rowSize : (i+1)*rowSize]
		row, used, err := parseRow(func(w int) uint64 { return binary.NativeEndian.Uint64(words[w*8:]) })
		if err != nil {
			return Ledger{}, ledgerFault("row %d: %v", i, err)
		}
		if !used {
			continue
		}
		if seen[row.Group] {
			return Ledger{}, ledgerFault("row %d: group %q has two rows", i, row.Group)
		}
		seen[row.Group] = true
		l.Rows = append(l.Rows, row)
	}
	return l, nil
}

func allZero(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// parseRow reads one row through load, in rising order of words (see the layout). used is false for a free row.
func parseRow(load func(word int) uint64) (r LedgerRow, used bool, err error) {
	state := load(0)
	if state == 0 {
		return r, false, nil
	}
	if state&math.MaxUint32 != rowUsed || state>>32 > rowNameBytes {
		return r, false, fmt.Errorf("state %#x is unknown", state)
	}
	r.Group = rowName(load, int(state>>32))
	if r.Group != "" && !visibleASCII(r.Group, rowNameBytes) {
		return r, false, fmt.Errorf("name %q is not one of a group", r.Group)
	}
	var latencies uint64
	for i := range latencyBuckets {
		n := load(wordLatency + i)
		if n == 0 {
			continue
		}
		latencies = addCapped(latencies, n)
		from, to := bucketRange(i)
		r.Latency = append(r.Latency, Bucket{From: from, To: to, Count: n})
	}
	r.Served, r.Failed5xx, r.Cut = load(wordServed), load(wordFailed), load(wordCut)
	r.ClientAborted, r.Unrouted, r.Retried = load(wordAborted), load(wordUnrout), load(wordRetried)
	r.Started = load(wordStarted)
	var outcomes uint64
	for _, n := range []uint64{r.Served, r.Failed5xx, r.Cut, r.ClientAborted, r.Unrouted} {
		outcomes = addCapped(outcomes, n)
	}
	if outcomes > r.Started || latencies > r.Started {
		return r, false, fmt.Errorf("%d outcomes and %d latencies of %d requests", outcomes, latencies, r.Started)
	}
	return r, true, nil
}

func rowName(load func(word int) uint64, n int) string {
	var sb strings.Builder
	var word [8]byte
	for i := 0; i < n; i += 8 {
		binary.NativeEndian.PutUint64(word[:], load(wordName+i/8))
		sb.Write(word[:min(8, n-i)])
	}
	return sb.String()
}

// addCapped adds without wrapping, so that torn counters cannot seem to fit.
func addCapped(a, b uint64) uint64 {
	s, carry := bits.Add64(a, b, 0)
	if carry != 0 {
		return math.MaxUint64
	}
	return s
}

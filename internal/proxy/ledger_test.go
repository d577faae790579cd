package proxy

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

func newLedgers(tb testing.TB) *ledgers {
	tb.Helper()
	s := &ledgers{dir: tb.TempDir(), log: slog.New(slog.DiscardHandler), now: time.Now, open: map[string]*ledger{}}
	tb.Cleanup(func() {
		for _, l := range s.open {
			l.close()
		}
	})
	return s
}

func mustRow(tb testing.TB, s *ledgers, name, group string) *row {
	tb.Helper()
	l, err := s.get(name)
	if err != nil {
		tb.Fatal(err)
	}
	r, err := l.row(group)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

func TestLedgerCountsAndGrows(t *testing.T) {
	s := newLedgers(t)
	const groups = 3*segmentRows + 5
	var rows []*row
	for i := range groups {
		rows = append(rows, mustRow(t, s, "l", fmt.Sprintf("group-%d-%s", i, strings.Repeat("x", i*3))))
	}
	var wg sync.WaitGroup
	for w := range 4 {
		wg.Go(func() {
			for i, r := range rows {
				for range i + 1 {
					r.count(wordStarted)
					r.latency(time.Duration(i+w) * time.Millisecond)
					r.count(wordServed)
				}
			}
		})
	}
	live := make(chan error, 1)
	go func() { // reading while it is being counted never looks torn
		for range 50 {
			if _, err := ReadLedger(s.path("l")); err != nil {
				live <- err
				return
			}
		}
		live <- nil
	}()
	wg.Wait()
	if err := <-live; err != nil {
		t.Fatal(err)
	}
	fromFile, err := ReadLedger(s.path("l"))
	if err != nil {
		t.Fatal(err)
	}
	fromMemory, err := s.read("l")
	if err != nil {
		t.Fatal(err)
	}
	if len(fromFile.Rows) != groups || fmt.Sprint(fromFile) != fmt.Sprint(fromMemory) {
		t.Fatalf("%d rows in the file, %d in memory", len(fromFile.Rows), len(fromMemory.Rows))
	}
	for i, r := range fromFile.Rows {
		if n := uint64(4 * (i + 1)); r.Started != n || r.Served != n || r.Latency.Total() != n {
			t.Fatalf("row %d: %+v", i, r)
		}
	}
	s.release(func(string) bool { return false })
	if len(s.open) != 0 {
		t.Fatal("ledger is still open")
	}
	mustRow(t, s, "l", "group-0-").count(wordStarted)
	s.release(func(string) bool { return false })
	if len(s.open) != 1 {
		t.Fatal("a ledger was closed with a request in flight")
	}
	if r := s.open["l"].snapshot(); len(r.Rows) != groups || r.Rows[0].InFlight() != 1 {
		t.Fatalf("after opening again: %+v", r.Rows[0])
	}
}

// TestLedgerBooksTheKilled: what was in flight is cut at the next opening, once.
func TestLedgerBooksTheKilled(t *testing.T) {
	s := newLedgers(t)
	for _, name := range []string{"named", "forgotten"} {
		r := mustRow(t, s, name, "blue")
		for range 5 {
			r.count(wordStarted)
		}
		r.count(wordServed)
		r.count(wordAborted)
		s.open[name].close() // as a kill does
	}
	for range 3 {
		again := &ledgers{dir: s.dir, log: s.log, now: time.Now, open: map[string]*ledger{}}
		mustRow(t, again, "named", "blue")
		if err := again.recover(); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"named", "forgotten"} {
			l, err := ReadLedger(s.path(name))
			if err != nil {
				t.Fatal(err)
			}
			if r := l.Row("blue"); r.Cut != 3 || r.Started != 5 || r.InFlight() != 0 {
				t.Fatalf("%s: %+v", name, r)
			}
		}
		again.open["named"].close()
	}
	clear(s.open)
}

// TestBadLedgers: each is a clear error to who reads, and is set aside, whole, by who counts.
func TestBadLedgers(t *testing.T) {
	make1 := func() []byte {
		s := newLedgers(t)
		mustRow(t, s, "l", "blue").count(wordStarted)
		b, err := os.ReadFile(s.path("l"))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	edit := func(f func(b []byte) []byte) []byte { return f(make1()) }
	put := func(word int, v uint64) []byte {
		return edit(func(b []byte) []byte {
			binary.NativeEndian.PutUint64(b[ledgerHeader+word*8:], v)
			return b
		})
	}
	for name, content := range map[string][]byte{
		"empty":             {},
		"text":              []byte("not a ledger"),
		"other program":     bytes.Repeat([]byte("x"), ledgerHeader+segmentSize),
		"header only half":  make1()[:ledgerHeader/2],
		"newer version":     edit(func(b []byte) []byte { b[8]++; return b }),
		"torn name":         edit(func(b []byte) []byte { b[28] = 'x'; return b }),
		"long name":         edit(func(b []byte) []byte { b[24] = 255; return b }),
		"other name":        append(append(headerBytes("other"), make([]byte, ledgerHeader-len(headerBytes("other")))...), make([]byte, segmentSize)...),
		"torn segment":      append(make1(), 1, 2, 3),
		"unknown state":     put(0, 7),
		"name too long":     put(0, rowUsed|1000<<32),
		"name with a NUL":   put(wordName, 0),
		"more than started": put(wordServed, 2),
		"outcomes wrap":     edit(func(b []byte) []byte { return overflowing(b) }),
		"latencies":         put(wordLatency+3, 9),
		"two rows of one group": edit(func(b []byte) []byte {
			copy(b[ledgerHeader+rowSize:], b[ledgerHeader:ledgerHeader+rowSize])
			return b
		}),
	} {
		t.Run(name, func(t *testing.T) {
			s := newLedgers(t)
			if err := os.WriteFile(s.path("l"), content, 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := ReadLedger(s.path("l"))
			if name != "other name" && (!errors.Is(err, ErrLedger) || !strings.Contains(err.Error(), s.path("l"))) {
				t.Fatalf("read: %v", err)
			}
			mustRow(t, s, "l", "green").count(wordStarted)
			l, err := ReadLedger(s.path("l"))
			if err != nil || l.Row("green").Started != 1 || len(l.Rows) != 1 {
				t.Fatalf("new ledger %+v, %v", l, err)
			}
			aside, err := filepath.Glob(s.path("l") + ".bad-*")
			if err != nil || len(aside) != 1 {
				t.Fatalf("set aside: %v, %v", aside, err)
			}
			if kept, err := os.ReadFile(aside[0]); err != nil || !bytes.Equal(kept, content) {
				t.Fatalf("the file that was set aside has changed: %v", err)
			}
		})
	}
	// A growth that was interrupted leaves zeros.
	s := newLedgers(t)
	if err := os.WriteFile(s.path("l"), append(make1(), make([]byte, 5000)...), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range segmentRows + 1 {
		mustRow(t, s, "l", fmt.Sprint(i))
	}
	if l, err := ReadLedger(s.path("l")); err != nil || len(l.Rows) != segmentRows+2 || l.Row("blue").Cut != 1 {
		t.Fatalf("after an interrupted growth: %+v, %v", l, err)
	}
}

func overflowing(b []byte) []byte {
	for _, w := range []int{wordServed, wordFailed} {
		binary.NativeEndian.PutUint64(b[ledgerHeader+w*8:], 1<<63)
	}
	return b
}

func TestHistogram(t *testing.T) {
	for i := range latencyBuckets {
		from, to := bucketRange(i)
		if i > 0 {
			if _, before := bucketRange(i - 1); before != from {
				t.Fatalf("bucket %d begins at %v, the one before ends at %v", i, from, before)
			}
		}
		if bucketOf(from) != i || bucketOf(to-1) != i {
			t.Fatalf("bucket %d is [%v, %v), which count in %d and %d", i, from, to, bucketOf(from), bucketOf(to-1))
		}
		if i >= subBuckets && float64(to-from)/float64(from) > 0.0626 {
			t.Fatalf("bucket %d is too wide: [%v, %v)", i, from, to)
		}
	}
	if bucketOf(-1) != 0 || bucketOf(1<<62) != latencyBuckets-1 {
		t.Fatal("values outside the range are lost")
	}
	if (Histogram{}).Quantile(0.5) != 0 {
		t.Fatal("a quantile of nothing")
	}
	var r row
	var values []time.Duration
	for range 10_000 {
		d := time.Duration(rand.ExpFloat64() * float64(20*time.Millisecond))
		values = append(values, d)
		r.latency(d)
		r.count(wordStarted)
	}
	r[0] = rowUsed
	lr, used, err := parseRow(r.load)
	if err != nil || !used {
		t.Fatal(err)
	}
	slices.Sort(values)
	for _, q := range []float64{0.01, 0.5, 0.9, 0.99, 1} {
		exact := values[min(int(q*10_000), 9_999)]
		got := lr.Latency.Quantile(q)
		if got < values[max(int(q*10_000)-1, 0)] || float64(got) > float64(exact)*1.07+float64(time.Microsecond) {
			t.Errorf("quantile %v: %v, exactly %v", q, got, exact)
		}
	}
}

func FuzzLedger(f *testing.F) {
	s := newLedgers(f)
	r := mustRow(f, s, "l", "blue")
	r.count(wordStarted)
	r.latency(time.Millisecond)
	r.count(wordServed)
	b, err := os.ReadFile(s.path("l"))
	if err != nil {
		f.Fatal(err)
	}
	// The fuzzer edits what matters: the header and one row; the rest is zeros.
	f.Add(b[:200], b[ledgerHeader:ledgerHeader+rowSize], 0)
	f.Add([]byte(ledgerMagic), []byte{1}, 5)
	f.Add([]byte{}, []byte{}, -70000)
	f.Fuzz(func(t *testing.T, header, row []byte, tail int) {
		size := max(0, ledgerHeader+segmentSize+max(min(tail, segmentSize), -ledgerHeader-segmentSize))
		file := make([]byte, size)
		copy(file, header)
		if len(file) > ledgerHeader {
			copy(file[ledgerHeader:], row)
		}
		l, err := parseLedger(file)
		if err != nil {
			if !errors.Is(err, ErrLedger) {
				t.Fatalf("error of another kind: %v", err)
			}
			return
		}
		for _, r := range l.Rows {
			if r.InFlight() > r.Started || r.Latency.Total() > r.Started {
				t.Fatalf("row %+v", r)
			}
		}
	})
}

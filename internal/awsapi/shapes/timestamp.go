package shapes

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"
)

// Timestamp is a point in time: on the wire a JSON number, seconds since 1970 with three decimals. The Go SDK refuses
// anything but a number.
type Timestamp struct{ time.Time }

// At returns the timestamp of t, nil for the zero time.
func At(t time.Time) *Timestamp {
	if t.IsZero() {
		return nil
	}
	return &Timestamp{t}
}

// MarshalJSON writes seconds with milliseconds.
func (t Timestamp) MarshalJSON() ([]byte, error) {
	ms := t.UnixMilli()
	sign := ""
	if ms < 0 {
		sign, ms = "-", -ms
	}
	return fmt.Appendf(nil, "%s%d.%03d", sign, ms/1000, ms%1000), nil
}

// UnmarshalJSON reads a JSON number.
func (t *Timestamp) UnmarshalJSON(b []byte) error {
	parsed, err := parseTimestamp(string(b))
	if err != nil {
		return err
	}
	*t = parsed
	return nil
}

// maxSeconds is the end of the year 9999; what lies beyond is no time that somebody meant.
const maxSeconds = 253402300799

// parseTimestamp reads seconds since 1970 to the millisecond, the resolution of the service.
func parseTimestamp(s string) (Timestamp, error) {
	seconds, err := strconv.ParseFloat(s, 64)
	if err != nil || math.IsNaN(seconds) || math.Abs(seconds) > maxSeconds {
		return Timestamp{}, errors.New("expected a timestamp (seconds since 1970)")
	}
	return Timestamp{time.UnixMilli(int64(math.Round(seconds * 1000))).UTC()}, nil
}

package wire

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"greengate/internal/awsapi/shapes"
)

// ErrMalformed is in every error that tells a client that its request does not fit the operation's shapes. Its text is
// for the client.
var ErrMalformed = errors.New("malformed request")

// malformedError is the text alone: that it is malformed is said by the name of the error on the wire.
type malformedError struct{ text string }

func (e *malformedError) Error() string        { return e.text }
func (e *malformedError) Is(target error) bool { return target == ErrMalformed }

func malformed(form string, args ...any) error {
	return &malformedError{fmt.Sprintf(form, args...)}
}

const (
	timeISO   = "iso8601"
	timeHTTP  = "rfc822"
	timeEpoch = "unixTimestamp"
)

// setText puts a scalar that was written as text into v.
func setText(path string, s *shape, v reflect.Value, text string) error {
	switch s.kind { //nolint:exhaustive // the others are no scalars
	case kindText:
		if utf8.ValidString(text) {
			v.SetString(text)
			return nil
		}
	case kindBoolean:
		if text == "true" || text == "false" {
			v.SetBool(text == "true")
			return nil
		}
	case kindInteger:
		if n, err := strconv.ParseInt(text, 10, v.Type().Bits()); err == nil {
			v.SetInt(n)
			return nil
		}
	case kindFloat:
		if f, ok := parseFloat(text); ok {
			v.SetFloat(f)
			return nil
		}
	case kindTimestamp:
		if t, ok := parseTime(text); ok {
			v.Set(reflect.ValueOf(shapes.Timestamp{Time: t}))
			return nil
		}
	case kindBlob:
		if b, err := base64.StdEncoding.DecodeString(text); err == nil {
			v.SetBytes(b)
			return nil
		}
	}
	return malformed("%s: expected a value of type %s", path, s.kind)
}

// parseFloat takes what the protocols write: no hexadecimal numbers, no underscores, infinities by their whole name.
func parseFloat(text string) (float64, bool) {
	switch text {
	case "NaN":
		return math.NaN(), true
	case "Infinity":
		return math.Inf(1), true
	case "-Infinity":
		return math.Inf(-1), true
	}
	if text == "" || strings.Trim(text, "0123456789+-.eE") != "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(text, 64)
	return f, err == nil
}

// maxSeconds is the end of the year 9999; what lies beyond is no time that somebody meant.
const maxSeconds = 253402300799

// parseTime reads a timestamp in any of the three forms: clients differ in which one they send.
func parseTime(text string) (time.Time, bool) {
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		t, err = http.ParseTime(text)
	}
	if err != nil {
		seconds, ok := parseFloat(text)
		if !ok || math.IsNaN(seconds) || math.Abs(seconds) > maxSeconds {
			return time.Time{}, false
		}
		t = time.UnixMilli(int64(math.Round(seconds * 1000)))
	}
	return t.UTC().Round(time.Millisecond), true
}

// textOf writes a scalar as text; form is for timestamps.
func textOf(s *shape, v reflect.Value, form string) (string, error) {
	switch s.kind { //nolint:exhaustive // the others are no scalars
	case kindText:
		return v.String(), nil
	case kindBoolean:
		return strconv.FormatBool(v.Bool()), nil
	case kindInteger:
		return strconv.FormatInt(v.Int(), 10), nil
	case kindFloat:
		return formatFloat(v.Float()), nil
	case kindTimestamp:
		t, ok := reflect.TypeAssert[shapes.Timestamp](v)
		if !ok {
			break
		}
		return formatTime(t.Time, form), nil
	case kindBlob:
		return base64.StdEncoding.EncodeToString(v.Bytes()), nil
	}
	return "", fmt.Errorf("write a %s as text", s.kind)
}

func formatFloat(f float64) string {
	switch {
	case math.IsNaN(f):
		return "NaN"
	case math.IsInf(f, 0):
		return map[bool]string{true: "Infinity", false: "-Infinity"}[f > 0]
	}
	return strconv.FormatFloat(f, 'f', -1, 64)
}

func formatTime(t time.Time, form string) string {
	t = t.UTC()
	switch form {
	case timeHTTP:
		return t.Format(http.TimeFormat)
	case timeEpoch:
		return strconv.FormatFloat(float64(t.UnixMilli())/1000, 'f', -1, 64)
	}
	if t.Nanosecond()/int(time.Millisecond) == 0 {
		return t.Format("2006-01-02T15:04:05Z")
	}
	return t.Format("2006-01-02T15:04:05.000Z")
}

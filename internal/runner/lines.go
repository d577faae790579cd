package runner

import (
	"bytes"
	"time"
)

// logTime is the time format of log lines: RFC 3339 in UTC with milliseconds, of fixed width.
const logTime = "2006-01-02T15:04:05.000Z07:00"

// maxLine is the length after which a line is logged in parts (tag P, the last part F), as container runtimes do.
const maxLine = 16 << 10

// appendLines formats the output in raw as log lines and appends them to out. It returns how many bytes of raw are
// thereby dealt with: the beginning of an unfinished line is left over, unless flush is set or it is too long.
func appendLines(out, raw []byte, stream string, now time.Time, flush bool) (text []byte, used int) {
	prefix := now.UTC().AppendFormat(nil, logTime)
	prefix = append(prefix, ' ')
	prefix = append(prefix, stream...)
	put := func(tag string, line []byte) {
		out = append(out, prefix...)
		out = append(out, tag...)
		out = append(out, line...)
		out = append(out, '\n')
	}
	for used < len(raw) {
		rest := raw[used:]
		end := bytes.IndexByte(rest[:min(len(rest), maxLine+1)], '\n')
		switch {
		case end >= 0:
			put(" F ", rest[:end])
			used += end + 1
		case len(rest) > maxLine:
			put(" P ", rest[:maxLine])
			used += maxLine
		case flush:
			put(" P ", rest)
			used += len(rest)
		default:
			return out, used
		}
	}
	return out, used
}

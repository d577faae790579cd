package runner

import (
	"fmt"
	"strconv"
	"strings"
)

// statusRange is an inclusive range of HTTP statuses.
type statusRange struct{ low, high int }

// matcher is a set of HTTP statuses, written as a load balancer's: "200", "200,204", "200-299".
type matcher []statusRange

// parseMatcher parses a status matcher; "" is "200".
func parseMatcher(text string) (matcher, error) {
	if text == "" {
		return matcher{{200, 200}}, nil
	}
	var m matcher
	for part := range strings.SplitSeq(text, ",") {
		low, high, isRange := strings.Cut(strings.TrimSpace(part), "-")
		if !isRange {
			high = low
		}
		r := statusRange{parseStatus(low), parseStatus(high)}
		if r.low == 0 || r.high == 0 || r.low > r.high {
			return nil, fmt.Errorf("bad status matcher %.60q: %.20q is no status or range; write as \"200\", \"200,204\" or \"200-299\"", text, part)
		}
		m = append(m, r)
	}
	return m, nil
}

// parseStatus returns a status from 100 to 599, or 0.
func parseStatus(s string) int {
	if len(s) != 3 {
		return 0
	}
	n, err := strconv.Atoi(s)
	if err != nil || n < 100 || n > 599 {
		return 0
	}
	return n
}

// matches reports whether the status is in the set.
func (m matcher) matches(status int) bool {
	for _, r := range m {
		if status >= r.low && status <= r.high {
			return true
		}
	}
	return false
}

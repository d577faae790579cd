package runner

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"
)

// Defaults of HealthCheck.
const (
	defaultInterval  = 5 * time.Second
	defaultProbe     = 2 * time.Second
	defaultHealthy   = 1
	defaultUnhealthy = 3
	protocolH2C      = "h2c"
	fastInterval     = 200 * time.Millisecond // of a unit that has not answered yet
)

// prober probes one address.
type prober struct {
	check   HealthCheck
	matcher matcher
	target  string // address:port
	client  *http.Client
}

// newProber returns a prober of a normalised check.
func newProber(check HealthCheck, target string) (*prober, error) {
	m, err := parseMatcher(check.Statuses)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{DisableKeepAlives: true, Proxy: nil, ResponseHeaderTimeout: check.Timeout, Protocols: new(http.Protocols)}
	transport.Protocols.SetHTTP1(check.Protocol != protocolH2C)
	transport.Protocols.SetUnencryptedHTTP2(check.Protocol == protocolH2C)
	return &prober{check: check, matcher: m, target: target, client: &http.Client{
		Transport: transport,
		// A redirect is an answer like any other; its status must match.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}, nil
}

// probe returns nil when the check passes, else an error that says what was seen.
func (p *prober) probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, p.check.Timeout)
	defer cancel()
	if p.check.Type == "tcp" {
		var d net.Dialer
		conn, err := d.DialContext(ctx, "tcp", p.target)
		if err != nil {
			return fmt.Errorf("TCP %s: %s", p.target, plainNetError(err, p.check.Timeout))
		}
		return conn.Close()
	}
	url := "http://" + p.target + p.check.Path
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return fmt.Errorf("GET %s: %w", url, err)
	}
	req.Host = p.check.Host
	req.Header.Set("User-Agent", "greengate-health-check")
	res, err := p.client.Do(req)
	if err != nil {
		return fmt.Errorf("GET %s: %s", url, plainNetError(err, p.check.Timeout))
	}
	defer func() { _ = res.Body.Close() }()
	_, _ = io.CopyN(io.Discard, res.Body, 64<<10)
	if !p.matcher.matches(res.StatusCode) {
		return fmt.Errorf("GET %s: %d (want %s)", url, res.StatusCode, p.check.Statuses)
	}
	return nil
}

// plainNetError drops the layers around a network fault that repeat the address.
func plainNetError(err error, limit time.Duration) string {
	var ne net.Error
	if errors.Is(err, context.DeadlineExceeded) || (errors.As(err, &ne) && ne.Timeout()) {
		return "no answer within " + limit.String()
	}
	var oe *net.OpError
	if errors.As(err, &oe) && oe.Err != nil {
		return oe.Err.Error()
	}
	return err.Error()
}

// verdicts counts probes against the thresholds.
type verdicts struct {
	check     HealthCheck
	started   time.Time // of the process
	health    string    // present value
	successes int
	failures  int
	counted   time.Time // last failure that counted
}

// add takes the outcome of one probe and returns the health that follows.
func (v *verdicts) add(ok bool, now time.Time) string {
	if ok {
		v.failures = 0
		v.successes++
		if v.successes >= v.check.HealthyThreshold {
			v.health = HealthHealthy
		}
		return v.health
	}
	v.successes = 0
	early := v.health == HealthStarting && now.Sub(v.started) < v.check.StartPeriod
	// Probes come faster than Interval before the first success; they must not use up the threshold faster.
	soon := !v.counted.IsZero() && now.Sub(v.counted) < v.check.Interval*9/10
	if early || soon {
		return v.health
	}
	v.counted = now
	v.failures++
	if v.failures >= v.check.UnhealthyThreshold {
		v.health = HealthUnhealthy
	}
	return v.health
}

// pause is the time until the next probe.
func (v *verdicts) pause() time.Duration {
	if v.successes == 0 && v.health == HealthStarting {
		return min(fastInterval, v.check.Interval)
	}
	return v.check.Interval
}

// hostPort joins an address for dialling.
func hostPort(address string, port int) string { return net.JoinHostPort(address, strconv.Itoa(port)) }

package config

import (
	"bufio"
	"bytes"
	"fmt"
	"net/url"
	"os"
	"strings"
)

// Sink is where notices of deployments are sent.
type Sink struct {
	// Slack: the receiver wants {"text": …} as Slack's incoming webhooks and their likes do; otherwise it gets our JSON.
	Slack bool
	// URL is http or https; it may hold a secret.
	URL string
}

const maxSinks = 16

// ReadSinks reads a file of receivers, one a line: "webhook URL" or "slack URL". Empty lines and lines that begin with #
// say nothing. It is a file, and no flag, because such URLs are secrets.
func ReadSinks(path string) ([]Sink, error) {
	data, err := os.ReadFile(path) //nolint:gosec // the operator names it
	if err != nil {
		return nil, fmt.Errorf("read notify file: %w", err)
	}
	sinks, err := parseSinks(data)
	if err != nil {
		return nil, fmt.Errorf("%s:%w", path, err)
	}
	return sinks, nil
}

func parseSinks(data []byte) ([]Sink, error) {
	var sinks []Sink
	lines := bufio.NewScanner(bytes.NewReader(data))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || line[0] == '#' {
			continue
		}
		kind, address, _ := strings.Cut(line, " ")
		address = strings.TrimSpace(address)
		u, err := url.Parse(address)
		switch {
		case kind != "webhook" && kind != "slack":
			return nil, fmt.Errorf("%d: a line begins with webhook or slack, then comes the URL", n)
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
			return nil, fmt.Errorf("%d: what follows %s is no http or https URL", n, kind) // not shown: it may be a secret
		case len(sinks) == maxSinks:
			return nil, fmt.Errorf("%d: there are more than %d receivers", n, maxSinks)
		}
		sinks = append(sinks, Sink{Slack: kind == "slack", URL: address})
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("1: %w", err)
	}
	return sinks, nil
}

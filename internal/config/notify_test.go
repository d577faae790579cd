package config

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseSinks(t *testing.T) {
	t.Parallel()
	sinks, err := parseSinks([]byte("# who is told\n\nwebhook http://127.0.0.1:9/x\n  slack   https://hooks.example/T0/secret  \n"))
	if diff := cmp.Diff([]Sink{{URL: "http://127.0.0.1:9/x"}, {Slack: true, URL: "https://hooks.example/T0/secret"}}, sinks); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
	for text, want := range map[string]string{
		"mail a@b":                             "1: a line begins with webhook or slack",
		"\nslack hooks.example/secret":         "2: what follows slack is no http or https URL",
		"webhook":                              "1: what follows webhook",
		"webhook ftp://x/secret":               "1: what follows webhook",
		strings.Repeat("slack http://x\n", 17): "17: there are more than 16",
	} {
		_, err := parseSinks([]byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%q: %v", text, err)
		}
	}
}

func FuzzParseSinks(f *testing.F) {
	f.Add([]byte("webhook http://127.0.0.1:9/x\n#\nslack https://hooks.example/T0"))
	f.Fuzz(func(t *testing.T, data []byte) {
		sinks, err := parseSinks(data)
		if err != nil && sinks != nil {
			t.Error("a fault comes with receivers")
		}
		for _, s := range sinks {
			if !strings.HasPrefix(strings.ToLower(s.URL), "http") {
				t.Errorf("a receiver at %q", s.URL)
			}
		}
	})
}

package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"time"
)

// result is one assertion of the sample's check, as JUnit wants it.
type result struct {
	XMLName xml.Name `xml:"testcase"`
	Name    string   `xml:"name,attr"`
	Time    string   `xml:"time,attr"`
	Failure *failure `xml:"failure,omitempty"`
}

type failure struct {
	Message string `xml:"message,attr"`
}

// RunCheck is the end-to-end check of the sample service. args[0] says which address it tests: "test"
// or "production". On the test address the version under test must answer, and everywhere an order
// must add up. It reports JUnit XML to $GREENGATE_RESULTS and an error when something is wrong.
func RunCheck(ctx context.Context, args []string, getenv func(string) string, out io.Writer) error {
	base, want := getenv("GREENGATE_TEST_URL"), getenv("GREENGATE_VERSION")
	if len(args) > 0 && args[0] == "production" {
		base = getenv("GREENGATE_PRODUCTION_URL")
	}
	c := checker{base: base, client: &http.Client{Timeout: 5 * time.Second}}
	results := []result{
		c.run(ctx, "the version under test answers", func(ctx context.Context) error { return c.version(ctx, want) }),
		c.run(ctx, "an order of 3 adds up", func(ctx context.Context) error { return c.order(ctx, 3) }),
	}
	if path := getenv("GREENGATE_RESULTS"); path != "" {
		if err := writeJUnit(path, results); err != nil {
			return err
		}
	}
	bad := 0
	for _, r := range results {
		if r.Failure == nil {
			_, _ = fmt.Fprintf(out, "ok    %s\n", r.Name)
			continue
		}
		bad++
		_, _ = fmt.Fprintf(out, "FAIL  %s: %s\n", r.Name, r.Failure.Message)
	}
	if bad > 0 {
		return fmt.Errorf("%d of %d checks failed on %s", bad, len(results), base)
	}
	return nil
}

type checker struct {
	base   string
	client *http.Client
}

func (c checker) run(ctx context.Context, name string, check func(context.Context) error) result {
	start := time.Now()
	err := check(ctx)
	r := result{Name: name, Time: fmt.Sprintf("%.3f", time.Since(start).Seconds())}
	if err != nil {
		r.Failure = &failure{Message: err.Error()}
	}
	return r
}

func (c checker) version(ctx context.Context, want string) error {
	body, err := c.do(ctx, http.MethodGet, "/version", "")
	if err != nil {
		return err
	}
	if got := strings.TrimSpace(string(body)); got != want {
		return fmt.Errorf("expected version %s, got %s", want, got)
	}
	return nil
}

func (c checker) order(ctx context.Context, quantity int) error {
	body, err := c.do(ctx, http.MethodPost, "/orders", fmt.Sprintf(`{"quantity": %d}`, quantity))
	if err != nil {
		return err
	}
	var o order
	if err := json.Unmarshal(body, &o); err != nil {
		return fmt.Errorf("decode order: %w", err)
	}
	if want := quantity * unitPrice; o.Total != want {
		return fmt.Errorf("expected total %d, got %d", want, o.Total)
	}
	return nil
}

func (c checker) do(ctx context.Context, method, path, body string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, c.base+path, strings.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	res, err := c.client.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = res.Body.Close() }()
	data, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
	if err != nil {
		return nil, fmt.Errorf("read answer: %w", err)
	}
	if res.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s %s: status %d: %s", method, path, res.StatusCode, bytes.TrimSpace(data))
	}
	return data, nil
}

func writeJUnit(path string, results []result) error {
	data, err := xml.MarshalIndent(struct {
		XMLName xml.Name `xml:"testsuite"`
		Name    string   `xml:"name,attr"`
		Cases   []result
	}{Name: "sample shop", Cases: results}, "", "  ")
	if err != nil {
		return fmt.Errorf("encode results: %w", err)
	}
	if err := os.WriteFile(path, data, 0o600); err != nil {
		return fmt.Errorf("write results: %w", err)
	}
	return nil
}

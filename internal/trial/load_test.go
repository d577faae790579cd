package trial

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

func TestLoad_countsFailures(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "v9") }))
	judge := func(status int, body string) (string, error) {
		if status != http.StatusOK {
			return "", fmt.Errorf("status %d", status)
		}
		return body, nil
	}
	l := StartLoad(t.Context(), server.URL, Pace{Workers: 4, Pause: time.Millisecond}, Shot{Method: http.MethodGet, Path: "/a", Judge: judge})
	until := func(holds func(total, failed int64) bool) {
		t.Helper()
		for !holds(l.Counted()) {
			if t.Context().Err() != nil {
				t.Fatal(context.Cause(t.Context()))
			}
		}
	}
	until(func(total, _ int64) bool { return total >= 50 })
	if _, failed := l.Counted(); failed != 0 {
		t.Errorf("%d requests failed before the server ended", failed)
	}
	server.Close()
	until(func(_, failed int64) bool { return failed > 0 })
	r := l.Stop()
	if r.Failed == 0 || len(r.Errors) == 0 || r.Versions["v9"]+r.Failed != r.Total || !strings.Contains(r.Errors[0], "/a") {
		t.Errorf("counted %+v", r)
	}
}

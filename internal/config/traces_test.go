package config

import (
	"slices"
	"testing"
)

// TestTraceEnvironment: an endpoint switches traces on, and nothing but what is about them is handed on.
func TestTraceEnvironment(t *testing.T) {
	t.Parallel()
	const to, also = "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4318", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=http://127.0.0.1:4318/v1/traces"
	for _, c := range []struct{ given, want []string }{
		{given: []string{"OTEL_SERVICE_NAME=shop", "OTEL_EXPORTER_OTLP_HEADERS=key=secret"}},
		{given: []string{to, "OTEL_SDK_DISABLED=true"}},
		{given: []string{to, "OTEL_TRACES_EXPORTER=none"}},
		{given: []string{also}, want: []string{also}},
		{
			given: []string{"HOME=/root", "OTEL_METRICS_EXPORTER=none", to, "OTEL_SERVICE_NAME=shop", "OTEL_TRACES_EXPORTER=otlp", "OTEL_SDK_DISABLED=false"},
			want:  []string{"OTEL_SERVICE_NAME=shop", "OTEL_SDK_DISABLED=false", "OTEL_TRACES_EXPORTER=otlp", to},
		},
	} {
		if got := TraceEnvironment(environ(c.given...)); !slices.Equal(got, c.want) {
			t.Errorf("%q gives %q, not %q", c.given, got, c.want)
		}
	}
}

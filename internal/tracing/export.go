// Package tracing sends the traces of deployments that have ended to an OTLP/HTTP endpoint. A trace is made of the stored
// history alone, never of what a process remembers, and the same history gives the same trace with the same ids.
package tracing

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	"go.opentelemetry.io/otel/sdk/resource"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"greengate/internal/deploy"
)

// Exporter sends traces. The SDK reads the standard OTEL_* variables itself: which of them there are decides config, which
// hands on no others to the process that exports.
type Exporter struct {
	client   *otlptrace.Exporter
	resource *resource.Resource
}

// New makes an exporter; it connects to nobody yet. It fails on variables that cannot be read.
func New(ctx context.Context) (*Exporter, error) {
	// What comes later wins: OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES over our name.
	about, err := resource.New(ctx, resource.WithAttributes(attribute.String("service.name", "greengate")), resource.WithTelemetrySDK(), resource.WithFromEnv())
	if err != nil {
		return nil, fmt.Errorf("read OTEL_RESOURCE_ATTRIBUTES: %w", err)
	}
	// The caller tries again, and for longer than this client would.
	client, err := otlptracehttp.New(ctx, otlptracehttp.WithRetry(otlptracehttp.RetryConfig{Enabled: false}))
	if err != nil {
		return nil, fmt.Errorf("make trace exporter: %w", err)
	}
	return &Exporter{client: client, resource: about}, nil
}

// Export sends the trace of a deployment that has ended, made of its records, in one request. After an error it may be
// sent again: the receiver gets the same ids.
func (e *Exporter) Export(ctx context.Context, d deploy.Deployment, records []deploy.Record) error {
	all := &collector{}
	provider := sdktrace.NewTracerProvider(sdktrace.WithResource(e.resource), sdktrace.WithIDGenerator(ids{}), sdktrace.WithSpanProcessor(all))
	tracer := provider.Tracer("greengate")
	// A trace is whole whatever trace the caller is in.
	contexts := map[string]context.Context{"": trace.ContextWithSpanContext(ctx, trace.SpanContext{})}
	for _, s := range history(d, records) {
		child := context.WithValue(contexts[s.parent], idKey{}, identity{deployment: d.ID, key: s.key})
		child, span := tracer.Start(child, s.name, trace.WithTimestamp(s.start), trace.WithAttributes(s.attributes...), trace.WithLinks(linked(s.links)...))
		for _, n := range s.events {
			span.AddEvent(n.name, trace.WithTimestamp(n.at), trace.WithAttributes(n.attributes...))
		}
		switch {
		case s.failure != "":
			span.SetStatus(codes.Error, s.failure)
		case s.ok:
			span.SetStatus(codes.Ok, "")
		}
		span.End(trace.WithTimestamp(s.end))
		contexts[s.key] = child
	}
	if err := e.client.ExportSpans(ctx, all.take()); err != nil {
		return fmt.Errorf("send trace of %s: %w", d.ID, err)
	}
	return nil
}

// linked are links to the root spans of deployments.
func linked(deployments []string) []trace.Link {
	var list []trace.Link
	for _, id := range deployments {
		list = append(list, trace.Link{SpanContext: trace.NewSpanContext(trace.SpanContextConfig{
			TraceID: traceID(id), SpanID: spanID(id, rootKey), TraceFlags: trace.FlagsSampled, Remote: true,
		})})
	}
	return list
}

func traceID(deployment string) trace.TraceID {
	sum := sha256.Sum256([]byte("trace " + deployment))
	return trace.TraceID(sum[:16])
}

func spanID(deployment, key string) trace.SpanID {
	sum := sha256.Sum256([]byte("span " + deployment + " " + key))
	return trace.SpanID(sum[:8])
}

// ids derives the ids of a span from what it is of, which its context holds.
type ids struct{}

type idKey struct{}

type identity struct{ deployment, key string }

func (ids) NewIDs(ctx context.Context) (trace.TraceID, trace.SpanID) {
	of, _ := ctx.Value(idKey{}).(identity)
	return traceID(of.deployment), spanID(of.deployment, of.key)
}

func (ids) NewSpanID(ctx context.Context, _ trace.TraceID) trace.SpanID {
	of, _ := ctx.Value(idKey{}).(identity)
	return spanID(of.deployment, of.key)
}

// collector keeps the spans that have ended, so that a trace goes out in one request whose failure is seen.
type collector struct {
	mu    sync.Mutex
	spans []sdktrace.ReadOnlySpan
}

func (c *collector) OnStart(context.Context, sdktrace.ReadWriteSpan) {}

func (c *collector) OnEnd(s sdktrace.ReadOnlySpan) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.spans = append(c.spans, s)
}

func (c *collector) Shutdown(context.Context) error   { return nil }
func (c *collector) ForceFlush(context.Context) error { return nil }

func (c *collector) take() []sdktrace.ReadOnlySpan {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.spans
}

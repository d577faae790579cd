package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// ServiceArg is the argument with which the binary is the sample service.
const ServiceArg = "demo-service"

// check is the end-to-end check of the sample service, on the test listener and on the production address.
const check = `version: 1
name: the shop adds up
expect_release: {request: GET /version, field: trim(raw)}
steps:
  - name: an order of 3 adds up
    request: POST /orders
    json: {quantity: 3}
    assert:
      - status == 200
      - body.total == 750
`

// Faults that a version of the sample service can have. Neither is seen by its health check.
const (
	// faultTotals adds up orders wrongly, everywhere.
	faultTotals = "totals"
	// faultProduction adds up orders wrongly, but only for requests that come by the production address.
	faultProduction = "production"
)

// unitPrice is what one item costs in the sample shop, in cents.
const unitPrice = 250

// order is what the sample shop answers.
type order struct {
	Version  string `json:"version"`
	Quantity int    `json:"quantity"`
	Total    int    `json:"total"` // cents
}

// sample is one version of the sample shop.
type sample struct {
	version, fault string
	production     string // host:port of the production listener
}

// RunService is the sample service: a small shop that listens where HOST and PORT say.
func RunService(ctx context.Context, getenv func(string) string) error {
	s := sample{version: getenv("VERSION"), fault: getenv("FAULT"), production: getenv("PRODUCTION")}
	l, err := (&net.ListenConfig{}).Listen(ctx, "tcp", net.JoinHostPort(getenv("HOST"), getenv("PORT")))
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	server := &http.Server{Handler: s.routes(), ReadHeaderTimeout: 5 * time.Second}
	stop := context.AfterFunc(ctx, func() {
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(grace) // requests that do not end in time are cut with the process
	})
	defer stop()
	if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

func (s sample) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /version", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s.version+"\n") })
	mux.HandleFunc("POST /orders", s.order)
	return mux
}

func (s sample) order(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Quantity int `json:"quantity"`
	}
	if err := json.NewDecoder(io.LimitReader(r.Body, 1<<16)).Decode(&in); err != nil || in.Quantity < 1 {
		http.Error(w, "an order needs a quantity of 1 or more", http.StatusBadRequest)
		return
	}
	out := order{Version: s.version, Quantity: in.Quantity, Total: in.Quantity * unitPrice}
	if s.fault == faultTotals || (s.fault == faultProduction && r.Host == s.production) {
		out.Total = 0 // a price list that was not loaded
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(out) // a client that left
}

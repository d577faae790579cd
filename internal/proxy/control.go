package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

const maxTableBytes = 32 << 20

// controlHandler serves the control API. hard is the context of connections that are accepted because of it.
func (s *Server) controlHandler(hard context.Context) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("PUT /v1/table", func(w http.ResponseWriter, r *http.Request) {
		var t Table
		if err := decodeStrict(w, r, &t); err != nil {
			replyError(w, err)
			return
		}
		// A caller that goes away must not leave a table half applied.
		ack, err := s.apply(hard, t)
		reply(w, ack, err)
	})
	mux.HandleFunc("GET /v1/table", func(w http.ResponseWriter, _ *http.Request) {
		t, _ := s.router.snapshot()
		reply(w, t, nil)
	})
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, s.status(), nil)
	})
	mux.HandleFunc("POST /v1/groups/{group}/drain", func(w http.ResponseWriter, r *http.Request) {
		var d drainRequest
		if err := decodeStrict(w, r, &d); err != nil {
			replyError(w, err)
			return
		}
		st, err := s.drain(r.PathValue("group"), d.Limit)
		reply(w, st, err)
	})
	mux.HandleFunc("GET /v1/meters", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, s.meters.snapshot(), nil)
	})
	mux.HandleFunc("GET /v1/ledgers/{name}", func(w http.ResponseWriter, r *http.Request) {
		l, err := s.readLedger(r.PathValue("name"))
		reply(w, l, err)
	})
	s.shadowRoutes(mux)
	return mux
}

// shadowRoutes add what is asked of shadows. Who takes the pairs says each time what to copy, so that a data plane which was
// restarted goes on.
func (s *Server) shadowRoutes(mux *http.ServeMux) {
	mux.HandleFunc("PUT /v1/shadows/{id}", func(w http.ResponseWriter, r *http.Request) {
		var spec ShadowSpec
		if err := decodeStrict(w, r, &spec); err != nil {
			replyError(w, err)
			return
		}
		b, err := s.shadow(r.Context(), r.PathValue("id"), spec)
		reply(w, b, err)
	})
	mux.HandleFunc("DELETE /v1/shadows/{id}", func(w http.ResponseWriter, r *http.Request) {
		s.shadows.remove(r.PathValue("id"))
		reply(w, struct{}{}, nil)
	})
	mux.HandleFunc("GET /v1/shadows", func(w http.ResponseWriter, _ *http.Request) {
		reply(w, s.shadows.snapshot(), nil)
	})
}

func (s *Server) drain(name string, limit time.Duration) (DrainStatus, error) {
	if limit < 0 {
		return DrainStatus{}, badInputError{errors.New("drain limit is negative")}
	}
	st, by := s.router.drain(name, limit, time.Now())
	if by != nil {
		return DrainStatus{}, fmt.Errorf("drain group %q: %w by %s; apply a table without it first",
			name, ErrGroupRouted, by)
	}
	return st, nil
}

func (s *Server) readLedger(name string) (Ledger, error) {
	if !validLedgerName(name) {
		return Ledger{}, badInputError{fmt.Errorf("ledger name %q is not valid", name)}
	}
	return s.ledgers.read(name)
}

// badInputError marks a fault of the caller.
type badInputError struct{ error }

func (e badInputError) Unwrap() error { return e.error }

// decodeStrict refuses unknown keys: a table that means something else than it says must not be applied.
func decodeStrict(w http.ResponseWriter, r *http.Request, into any) error {
	d := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxTableBytes))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return badInputError{fmt.Errorf("decode request: %w", err)}
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return badInputError{errors.New("decode request: more than one JSON value")}
	}
	return nil
}

func reply(w http.ResponseWriter, v any, err error) {
	if err != nil {
		replyError(w, err)
		return
	}
	writeJSON(w, http.StatusOK, v)
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the caller has gone; nothing is left to tell it
}

func replyError(w http.ResponseWriter, err error) {
	we := wireError{Code: codeInternal, Message: err.Error()}
	status := http.StatusInternalServerError
	var stale *StaleError
	var listen *ListenError
	var bad badInputError
	switch {
	case errors.As(err, &stale):
		we.Code, we.Offered, we.Current, status = codeStale, stale.Offered, stale.Current, http.StatusConflict
	case errors.As(err, &listen):
		we = wireError{Code: codeListen, Message: listen.Reason, Listener: listen.Listener, Address: listen.Address}
		status = http.StatusConflict
	case errors.Is(err, ErrInvalidTable):
		we.Code, status = codeInvalid, http.StatusBadRequest
	case errors.Is(err, ErrGroupRouted):
		we.Code, status = codeRouted, http.StatusConflict
	case errors.Is(err, ErrNotFound):
		we.Code, status = codeNotFound, http.StatusNotFound
	case errors.Is(err, ErrLedger):
		we.Code = codeLedger
	case errors.As(err, &bad):
		we.Code, status = codeBadInput, http.StatusBadRequest
	}
	writeJSON(w, status, we)
}

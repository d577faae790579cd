package runner

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"
)

// routes mounts the control interface.
func (s *Server) routes() {
	s.mux.HandleFunc("POST /v1/units", func(w http.ResponseWriter, r *http.Request) {
		var spec Spec
		dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody))
		dec.DisallowUnknownFields()
		if err := dec.Decode(&spec); err != nil {
			answer(w, nil, invalid("read unit: %v", err))
			return
		}
		// A client that goes away must not leave a unit half made.
		st, err := s.Ensure(context.WithoutCancel(r.Context()), spec)
		answer(w, st, err)
	})
	s.mux.HandleFunc("GET /v1/units", func(w http.ResponseWriter, r *http.Request) {
		sts, err := s.List(r.Context(), r.FormValue("group"))
		answer(w, sts, err)
	})
	s.mux.HandleFunc("GET /v1/unit", func(w http.ResponseWriter, r *http.Request) {
		st, err := s.Get(r.Context(), r.FormValue("id"))
		answer(w, st, err)
	})
	s.mux.HandleFunc("GET /v1/unit/wait", s.handleWait)
	s.mux.HandleFunc("GET /v1/unit/logs", s.handleLogs)
	s.mux.HandleFunc("GET /v1/watch", s.handleWatch)
	s.mux.HandleFunc("POST /v1/stop-all", func(w http.ResponseWriter, r *http.Request) {
		answer(w, struct{}{}, s.StopAll(r.Context()))
	})
	for path, f := range map[string]func(context.Context, string) error{
		"stop": s.Stop, "forget": s.Forget, "restart": s.Restart,
	} {
		s.mux.HandleFunc("POST /v1/unit/"+path, func(w http.ResponseWriter, r *http.Request) {
			answer(w, struct{}{}, f(r.Context(), r.FormValue("id")))
		})
	}
}

func (s *Server) handleWait(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), watchLimit)
	defer cancel()
	st, err := s.Wait(ctx, r.FormValue("id"))
	if errors.Is(err, context.DeadlineExceeded) {
		err = nil // the client sees that it has not ended and asks again
	}
	answer(w, st, err)
}

func (s *Server) handleWatch(w http.ResponseWriter, r *http.Request) {
	since, err := strconv.ParseUint(r.FormValue("since"), 10, 64)
	if err != nil {
		answer(w, nil, invalid("bad since %.30q", r.FormValue("since")))
		return
	}
	list, next, err := s.Watch(r.Context(), since)
	answer(w, changes{Statuses: list, Next: next}, err)
}

func (s *Server) handleLogs(w http.ResponseWriter, r *http.Request) {
	u, err := s.find(r.Context(), r.FormValue("id"))
	if err != nil {
		answer(w, nil, err)
		return
	}
	q, err := parseLogQuery(r.FormValue("tail"), r.FormValue("offset"), r.FormValue("follow"))
	if err != nil {
		answer(w, nil, err)
		return
	}
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusOK)
	out := &flusher{w: w, rc: http.NewResponseController(w)}
	_ = out.rc.Flush()
	// The status is sent: a fault can only cut the stream short.
	if err := writeLogs(r.Context(), out, u.record().Spec.LogFile, q, u.endedSignal()); err != nil && r.Context().Err() == nil {
		s.logger.WarnContext(r.Context(), "log stream cut", "unit", u.id, "err", err)
		panic(http.ErrAbortHandler)
	}
}

func parseLogQuery(tail, offset, follow string) (q LogQuery, err error) {
	if tail != "" {
		if q.Tail, err = strconv.Atoi(tail); err != nil {
			return q, invalid("bad tail %.30q", tail)
		}
	}
	if offset != "" {
		if q.Offset, err = strconv.ParseInt(offset, 10, 64); err != nil {
			return q, invalid("bad offset %.30q", offset)
		}
	}
	q.Follow = follow == "true"
	return q, nil
}

// flusher sends what is written at once, and gives up on a reader that takes nothing for a minute.
type flusher struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

func (f *flusher) Write(p []byte) (int, error) {
	_ = f.rc.SetWriteDeadline(time.Now().Add(time.Minute))
	n, err := f.w.Write(p)
	if err == nil {
		err = f.rc.Flush()
	}
	return n, err
}

// statusOf is the HTTP status of each kind of Error.
func statusOf(kind string) int {
	switch kind {
	case kindInvalid, kindPermanent:
		return http.StatusBadRequest
	case kindConflict, kindBusy:
		return http.StatusConflict
	case kindNotFound:
		return http.StatusNotFound
	case kindClosed:
		return http.StatusServiceUnavailable
	default:
		return http.StatusInternalServerError
	}
}

func answer(w http.ResponseWriter, v any, err error) {
	status := http.StatusOK
	if err != nil {
		e := &Error{Kind: kindInternal, Message: err.Error()}
		if known, ok := errors.AsType[*Error](err); ok {
			e.Kind = known.Kind
		}
		status, v = statusOf(e.Kind), e
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}

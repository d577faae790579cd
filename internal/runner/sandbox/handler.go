package sandbox

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"time"
)

const (
	maxControlBody = 12 << 20 // an invocation with 6 MB of payload, in base64
	maxControlWait = time.Minute
)

// Handler serves [Client] under /functions/. Whoever reaches it can start programs: mount it on a socket of the owner only.
func (m *Manager) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /functions/invocations", m.serveInvoke)
	mux.HandleFunc("GET /functions/invocations/{id}", m.serveResult)
	mux.HandleFunc("POST /functions/invocations/{id}/cancel", m.serveCancel)
	mux.HandleFunc("GET /functions/logs", m.serveLogged)
	mux.HandleFunc("GET /functions/logs/{name}", m.serveStreams)
	mux.HandleFunc("DELETE /functions/logs/{name}", m.serveDeleteLog)
	mux.HandleFunc("GET /functions/logs/{name}/events", m.serveEvents)
	return mux
}

func (m *Manager) serveInvoke(w http.ResponseWriter, r *http.Request) {
	var in Invocation
	dec := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxControlBody))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&in); err != nil {
		m.answer(w, nil, invalid("invocation: %v", err))
		return
	}
	m.answer(w, struct{}{}, m.Invoke(r.Context(), in))
}

func (m *Manager) serveResult(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	wait, err := waitOf(r)
	if err != nil {
		m.answer(w, nil, err)
		return
	}
	if wait == 0 {
		res, err := m.Result(r.Context(), id)
		m.answer(w, res, err)
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	res, err := m.Await(ctx, id)
	if ctx.Err() != nil && res.ID != "" {
		err = nil // not final yet
	}
	m.answer(w, res, err)
}

func (m *Manager) serveCancel(w http.ResponseWriter, r *http.Request) {
	m.answer(w, struct{}{}, m.Cancel(r.Context(), r.PathValue("id")))
}

func (m *Manager) serveStreams(w http.ResponseWriter, r *http.Request) {
	streams, err := Streams(m.cfg.Dir, r.PathValue("name"))
	m.answer(w, streams, err)
}

func (m *Manager) serveLogged(w http.ResponseWriter, _ *http.Request) {
	functions, err := Logged(m.cfg.Dir)
	m.answer(w, functions, err)
}

func (m *Manager) serveDeleteLog(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	var before time.Time
	if text := q.Get("before"); text != "" {
		ms, err := strconv.ParseInt(text, 10, 64)
		if err != nil {
			m.answer(w, nil, invalid("before %q", text))
			return
		}
		before = time.UnixMilli(ms)
	}
	m.answer(w, struct{}{}, m.DeleteLog(r.PathValue("name"), q.Get("stream"), before))
}

func (m *Manager) serveEvents(w http.ResponseWriter, r *http.Request) {
	wait, err := waitOf(r)
	if err != nil {
		m.answer(w, nil, err)
		return
	}
	q := r.URL.Query()
	since, err := strconv.ParseInt(q.Get("since"), 10, 64)
	if err != nil {
		m.answer(w, nil, invalid("since %q", q.Get("since")))
		return
	}
	ctx, cancel := context.WithTimeout(r.Context(), wait)
	defer cancel()
	page, err := AwaitLog(ctx, m.cfg.Dir, r.PathValue("name"), q.Get("stream"), since)
	m.answer(w, page, err)
}

func waitOf(r *http.Request) (time.Duration, error) {
	text := r.URL.Query().Get("wait")
	if text == "" {
		return 0, nil
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		return 0, invalid("wait %q: want a duration such as 20s", text)
	}
	return min(d, maxControlWait), nil
}

func (m *Manager) answer(w http.ResponseWriter, body any, err error) {
	status := http.StatusOK
	if err != nil {
		var f fault
		f, status = faultOf(err)
		body = f
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // to a client that may be gone
}

func faultOf(err error) (fault, int) {
	f := fault{Code: "internal", Message: err.Error()}
	switch {
	case errors.Is(err, ErrInvalid):
		f.Code = "invalid"
		return f, http.StatusBadRequest
	case errors.Is(err, ErrNotFound):
		f.Code = "not_found"
		return f, http.StatusNotFound
	case errors.Is(err, ErrClosed):
		f.Code = "closed"
		return f, http.StatusServiceUnavailable
	}
	return f, http.StatusInternalServerError
}

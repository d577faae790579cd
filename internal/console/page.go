package console

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"time"
)

// view is one page: how its model is read, and how it is drawn.
type view struct {
	template string
	title    func(model any) string
	// nav is the entry of the navigation that the page belongs to.
	nav  string
	load func(ctx context.Context, v visitor, at place) (any, error)
	// every is how often the page looks for what no event announces (health, counters, logs); 0 is never.
	every func(model any) time.Duration
}

// place is what a request asks a view for.
type place struct {
	path  string
	id    string // of the path, where it has one
	query url.Values
}

func placeOf(r *http.Request) place {
	q := r.URL.Query()
	q.Del("live")
	q.Del("have")
	q.Del("done")
	return place{path: r.URL.Path, id: r.PathValue("id"), query: q}
}

// url is where the place is.
func (p place) url(more ...string) string {
	q := url.Values{}
	maps.Copy(q, p.query)
	for i := 0; i+1 < len(more); i += 2 {
		q.Set(more[i], more[i+1])
	}
	if len(q) == 0 {
		return p.path
	}
	return p.path + "?" + q.Encode()
}

// pageData is what the layout and every page are drawn from.
type pageData struct {
	Title string
	Nav   string
	// Who is signed in, and the token of the session's forms; empty for a page that needs nobody.
	Who   string
	Token string
	Now   time.Time
	// Minute is how long a minute of the wire lasts, where that is no minute.
	Minute string
	// Live is the stream that the page follows; empty for none.
	Live string
	// Refresh is after how many seconds a browser without JavaScript loads the page again; empty for never.
	Refresh string
	// Note says what was done, Alert what was refused.
	Note, Alert string
	Data        any
}

func (c *Console) pageData(_ *http.Request, v visitor, title string, data any) pageData {
	d := pageData{Title: title, Who: v.session.Principal.ARN, Token: v.formToken(), Now: c.cfg.Now(), Data: data}
	if c.cfg.Minute != time.Minute && c.cfg.Minute > 0 {
		d.Minute = c.cfg.Minute.String()
	}
	return d
}

// page serves a view: whole, or as a stream.
func (c *Console) page(p view) func(http.ResponseWriter, *http.Request, visitor) {
	return func(w http.ResponseWriter, r *http.Request, v visitor) {
		if r.URL.Query().Has("live") {
			c.stream(w, r, v, p)
			return
		}
		model, err := p.load(r.Context(), v, placeOf(r))
		if err != nil {
			c.fail(w, r, v, err)
			return
		}
		c.show(w, r, v, shown{view: p, model: model, note: doneNote(r.URL.Query().Get("done")), status: http.StatusOK})
	}
}

// shown is one answer with a page.
type shown struct {
	view        view
	model       any
	note, alert string
	status      int
}

func (c *Console) show(w http.ResponseWriter, r *http.Request, v visitor, s shown) {
	d := c.pageData(r, v, s.view.title(s.model), s.model)
	d.Nav, d.Note, d.Alert = s.view.nav, s.note, s.alert
	at := placeOf(r)
	version, err := versionOf(s.model)
	if err != nil {
		c.fail(w, r, v, err)
		return
	}
	if r.Method == http.MethodGet {
		d.Live = at.url("live", "1", "have", version)
	}
	if every := s.view.every(s.model); every > 0 {
		d.Refresh = "5"
	}
	c.render(w, s.status, s.view.template, d)
}

// versionOf identifies what a model shows.
func versionOf(model any) (string, error) {
	data, err := json.Marshal(model)
	if err != nil {
		return "", fmt.Errorf("encode page: %w", err)
	}
	sum := sha256.Sum256(data)
	version := hex.EncodeToString(sum[:8])
	if s, ok := model.(interface{ Seq() int64 }); ok {
		// The place in the deployment's history stands first, for whoever reads the stream.
		version = fmt.Sprintf("%d-%s", s.Seq(), version)
	}
	return version, nil
}

// render writes a whole page, or an error where it cannot be drawn.
func (c *Console) render(w http.ResponseWriter, status int, name string, d pageData) {
	if d.Now.IsZero() {
		d.Now = c.cfg.Now()
	}
	var b bytes.Buffer
	t, ok := c.pages[name]
	if !ok {
		http.Error(w, "there is no page "+name, http.StatusInternalServerError)
		return
	}
	if err := t.ExecuteTemplate(&b, "layout", d); err != nil {
		c.cfg.Log.Error("draw page", "page", name, "err", err)
		http.Error(w, "The page could not be drawn; the log of the controller says why.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_, _ = w.Write(b.Bytes()) // a browser that left needs no answer
}

// fragment draws what a stream sends: the inside of the page's main part.
func (c *Console) fragment(p view, model any) (string, error) {
	var b bytes.Buffer
	d := pageData{Now: c.cfg.Now(), Data: model}
	if err := c.pages[p.template].ExecuteTemplate(&b, "main", d); err != nil {
		return "", fmt.Errorf("draw %s: %w", p.template, err)
	}
	return b.String(), nil
}

func titled(s string) func(any) string { return func(any) string { return s } }

func each(d time.Duration) func(any) time.Duration { return func(any) time.Duration { return d } }

// views are the pages by their paths.
func (c *Console) views() map[string]view {
	return map[string]view{
		"/console/{$}":              {template: "services", title: titled("Services"), nav: "services", load: c.loadServices, every: each(2 * time.Second)},
		"/console/deployments":      {template: "deployments", title: titled("Deployments"), nav: "deployments", load: c.loadDeployments, every: each(0)},
		"/console/deployments/{id}": c.deploymentView(),
		"/console/functions":        {template: "functions", title: titled("Functions"), nav: "functions", load: c.loadFunctions, every: each(5 * time.Second)},
		"/console/functions/{id}":   {template: "function", title: functionTitle, nav: "functions", load: c.loadFunction, every: each(2 * time.Second)},
		"/console/check":            {template: "check", title: titled("Check"), nav: "check", load: c.loadChecks, every: each(0)},
		"/console/audit":            {template: "audit", title: titled("Audit"), nav: "audit", load: c.loadAudit, every: each(0)},
	}
}

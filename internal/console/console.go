package console

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"html/template"
	"io/fs"
	"log/slog"
	"net/http"
	"path"
	"strings"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/cloud"
	"greengate/internal/deploy"
)

//go:embed templates/*.html
var templateFiles embed.FS

//go:embed assets/*
var assetFiles embed.FS

// API carries out operations with the checks that a request of the wire gets; *awsapi.Server is one.
type API interface {
	Do(ctx context.Context, c awsapi.InsideCall) (any, error)
}

// Config is what a Console needs.
type Config struct {
	// Keys finds the secrets of access keys, for signing in.
	Keys awsapi.Keys
	// Store keeps sessions and links, so that they outlive a controller.
	Store cloud.Resources
	// Changed is closed after the next change of anything that pages show.
	Changed func() <-chan struct{}
	Now     func() time.Time
	Log     *slog.Logger
	// Minute is how long a minute of the wire lasts; pages say so where it is no minute.
	Minute time.Duration
	// Audit is told who signed in, and who failed to.
	Audit func(ctx context.Context, e deploy.AuditEntry)
}

// Console serves the pages under /console/. It is safe for concurrent use.
type Console struct {
	cfg       Config
	api       API
	pages     map[string]*template.Template
	assets    map[string]asset
	mux       *http.ServeMux
	sessions  *sessions
	limiter   *limiter
	live      *hub
	protector *http.CrossOriginProtection
}

type asset struct {
	body []byte
	kind string
}

// New makes a Console and reads its sessions. Open must be called before it serves.
func New(ctx context.Context, cfg Config) (*Console, error) {
	c := &Console{
		cfg: cfg, assets: map[string]asset{}, pages: map[string]*template.Template{}, limiter: newLimiter(cfg.Now),
		protector: http.NewCrossOriginProtection(),
	}
	var err error
	if c.sessions, err = openSessions(ctx, cfg.Store, cfg.Now); err != nil {
		return nil, fmt.Errorf("open sessions of the console: %w", err)
	}
	c.live = newHub(c)
	if err := c.loadAssets(); err != nil {
		return nil, err
	}
	if err := c.loadPages(); err != nil {
		return nil, err
	}
	c.mux = c.routes()
	return c, nil
}

// Open gives the console the API that it works through.
func (c *Console) Open(api API) { c.api = api }

func (c *Console) loadAssets() error {
	kinds := map[string]string{".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
	files, err := fs.ReadDir(assetFiles, "assets")
	if err != nil {
		return fmt.Errorf("read assets: %w", err)
	}
	for _, f := range files {
		body, err := assetFiles.ReadFile("assets/" + f.Name())
		if err != nil {
			return fmt.Errorf("read asset: %w", err)
		}
		ext := path.Ext(f.Name())
		if kinds[ext] == "" {
			continue
		}
		sum := sha256.Sum256(body)
		c.assets[f.Name()] = asset{body, kinds[ext]}
		c.assets[assetName(f.Name(), sum[:])] = asset{body, kinds[ext]}
	}
	return nil
}

// assetName is a name that changes with the content, so that browsers may keep it for ever.
func assetName(name string, sum []byte) string {
	ext := path.Ext(name)
	return strings.TrimSuffix(name, ext) + "." + hex.EncodeToString(sum[:6]) + ext
}

// assetURL is where the current content of an asset is.
func (c *Console) assetURL(name string) (string, error) {
	a, ok := c.assets[name]
	if !ok {
		return "", fmt.Errorf("there is no asset %s", name)
	}
	sum := sha256.Sum256(a.body)
	return "/console/assets/" + assetName(name, sum[:]), nil
}

func (c *Console) loadPages() error {
	base, err := template.New("").Funcs(c.funcs()).ParseFS(templateFiles, "templates/layout.html", "templates/parts.html")
	if err != nil {
		return fmt.Errorf("read templates: %w", err)
	}
	files, err := fs.Glob(templateFiles, "templates/*.html")
	if err != nil {
		return fmt.Errorf("list templates: %w", err)
	}
	for _, f := range files {
		name := strings.TrimSuffix(path.Base(f), ".html")
		if name == "layout" || name == "parts" {
			continue
		}
		t, err := base.Clone()
		if err == nil {
			t, err = t.ParseFS(templateFiles, f)
		}
		if err != nil {
			return fmt.Errorf("read template %s: %w", name, err)
		}
		c.pages[name] = t
	}
	return nil
}

func (c *Console) routes() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /console/assets/{name}", c.asset)
	mux.HandleFunc("GET /console/sign-in", c.signInPage)
	mux.HandleFunc("POST /console/sign-in", c.signIn)
	mux.HandleFunc("GET /console/link", c.linkPage)
	mux.HandleFunc("POST /console/link", c.followLink)
	mux.HandleFunc("POST /console/sign-out", c.inside(c.signOut))
	for pattern, p := range c.views() {
		mux.HandleFunc("GET "+pattern, c.inside(c.page(p)))
	}
	mux.HandleFunc("GET /console/deployments/{id}/report", c.inside(c.reportPage))
	mux.HandleFunc("GET /console/deployments/{id}/report.json", c.inside(c.reportJSON))
	mux.HandleFunc("POST /console/deployments/{id}/{action}", c.inside(c.act))
	mux.HandleFunc("/console", func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, "/console/", http.StatusPermanentRedirect)
	})
	mux.HandleFunc("/console/", c.inside(func(w http.ResponseWriter, r *http.Request, v visitor) {
		c.fail(w, r, v, &awsapi.Error{Name: "NotFound", Message: "There is no such page.", Status: http.StatusNotFound})
	}))
	return mux
}

// ServeHTTP implements http.Handler.
func (c *Console) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h := w.Header()
	h.Set("Content-Security-Policy", "default-src 'self'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'; object-src 'none'")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cross-Origin-Opener-Policy", "same-origin")
	h.Set("Cross-Origin-Resource-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if err := c.protector.Check(r); err != nil {
		c.cfg.Log.WarnContext(r.Context(), "refused a cross-site request", "path", r.URL.Path, "source", awsapi.Source(r))
		http.Error(w, "This request comes from another site; it was not followed.", http.StatusForbidden)
		return
	}
	c.mux.ServeHTTP(w, r)
}

func (c *Console) asset(w http.ResponseWriter, r *http.Request) {
	a, ok := c.assets[r.PathValue("name")]
	if !ok {
		http.NotFound(w, r)
		return
	}
	w.Header().Set("Content-Type", a.kind)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	_, _ = w.Write(a.body) // a browser that left needs no answer
}

// visitor is who looks at a page.
type visitor struct {
	session session
	id      string // of the session, secret
	source  string
	agent   string
}

// inside lets only those in who have signed in.
func (c *Console) inside(h func(http.ResponseWriter, *http.Request, visitor)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		v, err := c.visitor(r)
		if err == nil {
			if r.Method == http.MethodPost && !v.ownsForm(w, r) {
				http.Error(w, "This form is not one of your session; load the page again.", http.StatusForbidden)
				return
			}
			h(w, r, v)
			return
		}
		switch {
		case r.URL.Query().Has("live"):
			http.Error(w, "sign in", http.StatusUnauthorized)
		case r.Method == http.MethodGet && r.Header.Get("Sec-Fetch-Site") == "cross-site":
			// A link from elsewhere does not bring the cookie along; the page that follows it is ours, and does.
			c.render(w, http.StatusOK, "arrive", pageData{Title: "One moment", Refresh: "0"})
		default:
			http.Redirect(w, r, "/console/sign-in?"+nextQuery(r), http.StatusSeeOther)
		}
	}
}

// ask carries out an operation of ours for a visitor.
func ask[Out any](ctx context.Context, c *Console, v visitor, operation string, input any) (Out, error) {
	var none Out
	answer, err := c.api.Do(ctx, awsapi.InsideCall{
		By: v.session.Principal, Service: "greengate", Operation: operation, Input: input, Source: v.source, Agent: v.agent,
	})
	if err != nil {
		return none, err
	}
	out, ok := answer.(Out)
	if !ok {
		return none, fmt.Errorf("ask %s: it answered a %T", operation, answer)
	}
	return out, nil
}

// fail shows what went wrong.
func (c *Console) fail(w http.ResponseWriter, r *http.Request, v visitor, err error) {
	e, ok := errors.AsType[*awsapi.Error](err)
	if !ok {
		c.cfg.Log.ErrorContext(r.Context(), "page failed", "path", r.URL.Path, "err", err)
		e = &awsapi.Error{Name: "InternalFailure", Message: "The page could not be made; the log of the controller says why.", Status: http.StatusInternalServerError}
	}
	status := e.Status
	switch {
	case status != 0:
	case e.Name == "AccessDeniedException":
		status = http.StatusForbidden
	case e.Name == "ResourceNotFoundException":
		status = http.StatusNotFound
	case e.Name == "InternalFailure":
		status = http.StatusInternalServerError
	default:
		status = http.StatusBadRequest
	}
	c.render(w, status, "error", c.pageData(r, v, "Not possible", e))
}

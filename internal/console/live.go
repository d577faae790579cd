package console

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"strings"
	"sync"
	"time"
)

const (
	// settle is the least time between two drawings of a page: a burst of events is one.
	settle = 80 * time.Millisecond
	// beat is how often a stream without news says that it is there. The page waits for three of them.
	beat = 5 * time.Second
	// maxStreams bounds the pages that follow at the same time.
	maxStreams = 500
)

// hub lets all who look at the same page in the same role share one feed.
type hub struct {
	c *Console

	mu      sync.Mutex
	feeds   map[string]*feed
	streams int
}

func newHub(c *Console) *hub { return &hub{c: c, feeds: map[string]*feed{}} }

// feed draws one page anew with each change, as long as somebody looks.
type feed struct {
	mu      sync.Mutex
	news    update
	next    chan struct{} // closed by the next update
	viewers int           // guarded by the hub
	stop    context.CancelFunc
}

// update is what a page shows at one time.
type update struct {
	version  string
	fragment string
	// gone says that the page cannot be shown any more (a permission was taken away, say).
	gone bool
}

func (f *feed) now() (update, <-chan struct{}) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.news, f.next
}

func (f *feed) set(u update) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if u.version == f.news.version && u.gone == f.news.gone {
		return
	}
	f.news = u
	close(f.next)
	f.next = make(chan struct{})
}

// join returns the feed of a place, which leave must give back. It is nil where too many follow already.
func (h *hub) join(v visitor, p view, at place) (f *feed, leave func()) {
	key := strings.Join([]string{p.template, at.url(), v.session.Principal.ARN, v.session.KeyID}, "\n")
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.streams >= maxStreams {
		return nil, nil
	}
	h.streams++
	f = h.feeds[key]
	if f == nil {
		// It lives as long as somebody looks, not as long as the request that came first.
		ctx, cancel := context.WithCancel(context.Background())
		f = &feed{next: make(chan struct{}), stop: cancel}
		h.feeds[key] = f
		go h.c.follow(ctx, f, v, p, at)
	}
	f.viewers++
	return f, func() {
		h.mu.Lock()
		defer h.mu.Unlock()
		h.streams--
		if f.viewers--; f.viewers == 0 {
			f.stop()
			delete(h.feeds, key)
		}
	}
}

// follow keeps a feed at what is true.
func (c *Console) follow(ctx context.Context, f *feed, v visitor, p view, at place) {
	for {
		changed := c.cfg.Changed()
		every := c.draw(ctx, f, v, p, at)
		if ctx.Err() != nil {
			return
		}
		var tick <-chan time.Time
		if every > 0 {
			tick = time.After(every)
		}
		select {
		case <-ctx.Done():
			return
		case <-tick:
		case <-changed:
			if !pause(ctx, settle/4) { // what is committed together is drawn together
				return
			}
		}
	}
}

// draw makes an update and returns when to look again at the latest.
func (c *Console) draw(ctx context.Context, f *feed, v visitor, p view, at place) (every time.Duration) {
	defer func() {
		if e := recover(); e != nil {
			c.cfg.Log.ErrorContext(ctx, "draw page", "page", p.template, "err", fmt.Sprint(e), "stack", string(debug.Stack()))
			every = time.Second
		}
	}()
	model, err := p.load(ctx, v, at)
	if err != nil {
		if ctx.Err() == nil {
			f.set(update{gone: true, version: "gone"})
		}
		return time.Second
	}
	version, err := versionOf(model)
	if err != nil {
		c.cfg.Log.ErrorContext(ctx, "draw page", "page", p.template, "err", err)
		return time.Second
	}
	if u, _ := f.now(); u.version == version {
		return p.every(model)
	}
	text, err := c.fragment(p, model)
	if err != nil {
		c.cfg.Log.ErrorContext(ctx, "draw page", "page", p.template, "err", err)
		return time.Second
	}
	f.set(update{version: version, fragment: text})
	return p.every(model)
}

func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// stream sends a page anew with each change (WHATWG HTML, "Server-sent events"). It begins with what is true now, unless
// the browser says that it has that: by Last-Event-ID, or in the address at first.
func (c *Console) stream(w http.ResponseWriter, r *http.Request, v visitor, p view) {
	f, leave := c.live.join(v, p, placeOf(r)) //nolint:contextcheck // the feed is everybody's, and outlives this request
	if f == nil {
		w.Header().Set("Retry-After", "5")
		http.Error(w, "too many pages follow already", http.StatusServiceUnavailable)
		return
	}
	defer leave()
	has := r.Header.Get("Last-Event-ID")
	if has == "" {
		has = r.URL.Query().Get("have")
	}
	out := newEvents(w)
	ctx, cancel := context.WithTimeout(r.Context(), v.session.Expires.Sub(c.cfg.Now()))
	defer cancel()
	if out.beat() != nil {
		return
	}
	for {
		u, next := f.now()
		if u.gone {
			return // the browser asks again, and is told why
		}
		if u.version != "" && u.version != has {
			if out.send(u) != nil {
				return
			}
			has = u.version
		}
		if !c.awaitNews(ctx, out, r, next) {
			return
		}
	}
}

// awaitNews waits for the next update, and says meanwhile that the stream is there. It ends with the session.
func (c *Console) awaitNews(ctx context.Context, out *events, r *http.Request, next <-chan struct{}) bool {
	tick := time.NewTicker(beat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return false
		case <-next:
			return true
		case <-tick.C:
			if _, err := c.visitor(r); err != nil || out.beat() != nil {
				return false
			}
		}
	}
}

// events writes server-sent events.
type events struct {
	w  http.ResponseWriter
	rc *http.ResponseController
}

// slowest is how long a browser may take to read one event.
const slowest = 10 * time.Second

func newEvents(w http.ResponseWriter) *events {
	e := &events{w: w, rc: http.NewResponseController(w)}
	w.Header().Set("Content-Type", "text/event-stream; charset=utf-8")
	w.Header().Set("X-Accel-Buffering", "no") // a proxy before us must not hold events back
	_ = e.rc.SetReadDeadline(time.Time{})     // a stream outlives the limit of ordinary requests; without deadlines there is none
	w.WriteHeader(http.StatusOK)
	return e
}

// send writes an update. An event without a name is one that the page takes in.
func (e *events) send(u update) error {
	var b strings.Builder
	b.WriteString("id: " + u.version + "\n")
	for line := range strings.Lines(u.fragment) {
		b.WriteString("data: " + strings.TrimRight(line, "\r\n") + "\n")
	}
	b.WriteString("\n")
	return e.write(b.String())
}

func (e *events) beat() error { return e.write("event: beat\ndata: .\n\n") }

func (e *events) write(text string) error {
	_ = e.rc.SetWriteDeadline(time.Now().Add(slowest)) // as above
	if _, err := e.w.Write([]byte(text)); err != nil {
		return fmt.Errorf("write event: %w", err)
	}
	if err := e.rc.Flush(); err != nil {
		return fmt.Errorf("flush event: %w", err)
	}
	return nil
}

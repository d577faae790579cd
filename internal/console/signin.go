package console

import (
	"context"
	"crypto/subtle"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/deploy"
)

// limiter bounds failed attempts to sign in, by the address that they come from and altogether. An address has a few
// attempts, and gets one more with each pause.
type limiter struct {
	now func() time.Time

	mu     sync.Mutex
	failed map[string]attempts
}

type attempts struct {
	n    int
	last time.Time
}

const (
	freeAttempts   = 5  // of one address
	freeAltogether = 50 // of all
	attemptPause   = 30 * time.Second
	everybody      = "" // the key of all addresses
)

func newLimiter(now func() time.Time) *limiter {
	return &limiter{now: now, failed: map[string]attempts{}}
}

// wait is how long the address has to wait; 0 lets it try.
func (l *limiter) wait(source string) time.Duration {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for key, a := range l.failed {
		if recovered(a, now) == 0 {
			delete(l.failed, key)
		}
	}
	for key, free := range map[string]int{source: freeAttempts, everybody: freeAltogether} {
		a := l.failed[key]
		if left := recovered(a, now); left >= free {
			return max(time.Second, attemptPause-now.Sub(a.last)%attemptPause)
		}
	}
	return 0
}

// recovered is how many failures still count.
func recovered(a attempts, now time.Time) int {
	return max(0, a.n-int(now.Sub(a.last)/attemptPause))
}

func (l *limiter) fail(source string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	for _, key := range []string{source, everybody} {
		l.failed[key] = attempts{n: recovered(l.failed[key], now) + 1, last: now}
	}
}

func (l *limiter) succeed(source string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.failed, source)
}

// signInData is what the page of signing in shows.
type signInData struct {
	Next, KeyID, Problem, Link string
}

func nextQuery(r *http.Request) string {
	return url.Values{"next": {r.URL.RequestURI()}}.Encode()
}

// safeNext is a place of the console to go to; anything else leads to the first page.
func safeNext(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || !strings.HasPrefix(u.Path, "/console/") || strings.ContainsAny(next, "\\\r\n") || u.Path == "/console/sign-in" {
		return "/console/"
	}
	return u.RequestURI()
}

func (c *Console) signInPage(w http.ResponseWriter, r *http.Request) {
	next := safeNext(r.URL.Query().Get("next"))
	if _, err := c.visitor(r); err == nil {
		http.Redirect(w, r, next, http.StatusSeeOther) //nolint:gosec // safeNext lets only places of the console through
		return
	}
	c.render(w, http.StatusOK, "signin", pageData{Title: "Sign in", Data: signInData{Next: next}})
}

func (c *Console) signIn(w http.ResponseWriter, r *http.Request) {
	source := awsapi.Source(r)
	if wait := c.limiter.wait(source); wait > 0 {
		w.Header().Set("Retry-After", seconds(wait))
		c.refuse(w, http.StatusTooManyRequests, signInData{Problem: "Too many attempts have failed. Wait " + seconds(wait) + " seconds and try again."})
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		c.refuse(w, http.StatusBadRequest, signInData{Problem: "The form could not be read."})
		return
	}
	form := signInData{Next: safeNext(r.PostForm.Get("next")), KeyID: strings.TrimSpace(r.PostForm.Get("key"))}
	p, err := c.whose(form.KeyID, strings.TrimSpace(r.PostForm.Get("secret")))
	switch {
	case errors.Is(err, errWrongKey):
		c.limiter.fail(source)
		c.tellSignIn(r.Context(), r, "", "AccessDenied", form.KeyID)
		form.Problem = "The access key or the secret is not right."
		c.refuse(w, http.StatusForbidden, form)
		return
	case err == nil:
		err = c.begin(w, r, session{Principal: p, KeyID: form.KeyID})
	}
	if err != nil {
		c.cfg.Log.ErrorContext(r.Context(), "sign in", "err", err)
		form.Problem = "Signing in failed because of an internal error; the log of the controller says why."
		c.refuse(w, http.StatusInternalServerError, form)
		return
	}
	c.limiter.succeed(source)
	c.tellSignIn(r.Context(), r, p.ARN, "ok", form.KeyID)
	http.Redirect(w, r, form.Next, http.StatusSeeOther)
}

func (c *Console) refuse(w http.ResponseWriter, status int, form signInData) {
	c.render(w, status, "signin", pageData{Title: "Sign in", Data: form})
}

var errWrongKey = errors.New("the access key or the secret is not right")

// whose finds whom a pair of keys belongs to. Session credentials are refused: they are of programs.
func (c *Console) whose(keyID, secret string) (awsapi.Principal, error) {
	right, p, err := c.cfg.Keys.Lookup(keyID, "", c.cfg.Now())
	unknown := errors.Is(err, awsapi.ErrUnknownKey) || errors.Is(err, awsapi.ErrInvalidToken) || errors.Is(err, awsapi.ErrExpiredToken)
	if err != nil && !unknown {
		return awsapi.Principal{}, err
	}
	// An unknown key takes as long as a wrong secret.
	same := subtle.ConstantTimeCompare([]byte(right), []byte(secret)) == 1
	if unknown || !same || secret == "" {
		return awsapi.Principal{}, errWrongKey
	}
	return p, nil
}

// tellSignIn writes down who signed in, or failed to.
func (c *Console) tellSignIn(ctx context.Context, r *http.Request, arn, outcome, key string) {
	if key != "link" && (!strings.HasPrefix(key, "AKIA") || len(key) > 32 || strings.ToUpper(key) != key) {
		key = "" // people put their secrets into the wrong field
	}
	c.cfg.Audit(context.WithoutCancel(ctx), deploy.AuditEntry{
		At: c.cfg.Now(), Principal: arn, Source: awsapi.Source(r), Agent: "console; " + r.UserAgent(), Service: "greengate", Operation: "SignIn", Resource: key, Outcome: outcome,
	})
}

// linkPage asks before a link is used up: programs that look at links in messages must not use it.
func (c *Console) linkPage(w http.ResponseWriter, r *http.Request) {
	key := r.URL.Query().Get("key")
	data := signInData{Link: key}
	if _, ok := c.sessions.find(kindLink, key); !ok {
		data = signInData{Next: "/console/", Problem: "This link was used already, or has expired. Make another one with: greengate console"}
	}
	c.render(w, http.StatusOK, "signin", pageData{Title: "Sign in", Data: data})
}

func (c *Console) followLink(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		c.refuse(w, http.StatusBadRequest, signInData{Problem: "The form could not be read."})
		return
	}
	one, ok, err := c.sessions.take(r.Context(), kindLink, r.PostForm.Get("link"))
	if err == nil && ok {
		err = c.begin(w, r, session{Principal: one.Principal})
	}
	switch {
	case err != nil:
		c.cfg.Log.ErrorContext(r.Context(), "follow link", "err", err)
		c.refuse(w, http.StatusInternalServerError, signInData{Problem: "Signing in failed because of an internal error; the log of the controller says why."})
	case !ok:
		c.refuse(w, http.StatusForbidden, signInData{Problem: "This link was used already, or has expired. Make another one with: greengate console"})
	default:
		c.tellSignIn(r.Context(), r, one.Principal.ARN, "ok", "link")
		http.Redirect(w, r, "/console/", http.StatusSeeOther)
	}
}

func (c *Console) signOut(w http.ResponseWriter, r *http.Request, v visitor) {
	if _, _, err := c.sessions.take(r.Context(), kindSession, v.id); err != nil {
		c.fail(w, r, v, err)
		return
	}
	http.SetCookie(w, &http.Cookie{Name: cookieName, Path: "/console/", MaxAge: -1, HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode}) //nolint:gosec // as in begin
	http.Redirect(w, r, "/console/sign-in", http.StatusSeeOther)
}

// Basic finds who a program is that sends a key pair by HTTP basic authentication. It counts failures as signing in does.
func (c *Console) Basic(r *http.Request) (awsapi.Principal, bool) {
	id, secret, ok := r.BasicAuth()
	source := awsapi.Source(r)
	if !ok || c.limiter.wait(source) > 0 {
		return awsapi.Principal{}, false
	}
	p, err := c.whose(id, secret)
	if errors.Is(err, errWrongKey) {
		c.limiter.fail(source)
	}
	return p, err == nil
}

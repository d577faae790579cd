package console

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"greengate/internal/awsapi"
	"greengate/internal/cloud"
)

const (
	cookieName = "greengate_session"
	// sessionLife is how long somebody stays signed in; linkLife is how long a link waits to be followed.
	sessionLife = 8 * time.Hour
	linkLife    = 5 * time.Minute

	kindSession = "console-session"
	kindLink    = "console-link"
)

// session is somebody who signed in. Its id is in the browser's cookie; the store has a hash of it.
type session struct {
	Principal awsapi.Principal `json:"principal"`
	// KeyID is the access key that was signed in with; empty for a link. A key that is gone ends the session.
	KeyID   string    `json:"keyId,omitempty"`
	Expires time.Time `json:"expires"`

	version int64
}

// sessions keeps sessions and links in the store, and a copy in memory.
type sessions struct {
	store cloud.Resources
	now   func() time.Time

	mu    sync.Mutex
	known map[string]map[string]session // by kind and hash
}

func openSessions(ctx context.Context, store cloud.Resources, now func() time.Time) (*sessions, error) {
	s := &sessions{store: store, now: now, known: map[string]map[string]session{kindSession: {}, kindLink: {}}}
	for kind, known := range s.known {
		records, err := store.List(ctx, kind)
		if err != nil {
			return nil, err
		}
		for _, r := range records {
			one := session{version: r.Version}
			if err := json.Unmarshal(r.Data, &one); err != nil {
				return nil, fmt.Errorf("decode %s: %w", kind, err)
			}
			known[r.Name] = one
		}
	}
	return s, nil
}

// hashed is what of an id is stored. Ids have 256 random bits, so a plain hash does.
func hashed(id string) string {
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])
}

// add stores a session or link and returns its id. What has expired goes with the same write.
func (s *sessions) add(ctx context.Context, kind string, one session) (string, error) {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	id := base64.RawURLEncoding.EncodeToString(b[:])
	data, err := json.Marshal(one)
	if err != nil {
		return "", fmt.Errorf("encode session: %w", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	writes := []cloud.Write{{Record: cloud.Record{Kind: kind, Name: hashed(id), Data: data}}}
	for name, old := range s.known[kind] {
		if !s.now().Before(old.Expires) {
			writes = append(writes, cloud.Write{Record: cloud.Record{Kind: kind, Name: name, Version: old.version}, Delete: true})
		}
	}
	versions, err := s.store.Put(ctx, writes)
	if err != nil {
		return "", fmt.Errorf("store session: %w", err)
	}
	for _, w := range writes[1:] {
		delete(s.known[kind], w.Name)
	}
	one.version = versions[0]
	s.known[kind][hashed(id)] = one
	return id, nil
}

// find returns a session or link that has not expired.
func (s *sessions) find(kind, id string) (session, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	one, ok := s.known[kind][hashed(id)]
	return one, ok && s.now().Before(one.Expires)
}

// take ends a session or link and returns it. Of two who take the same link one gets it.
func (s *sessions) take(ctx context.Context, kind, id string) (session, bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name := hashed(id)
	one, ok := s.known[kind][name]
	if !ok {
		return session{}, false, nil
	}
	gone := []cloud.Write{{Record: cloud.Record{Kind: kind, Name: name, Version: one.version}, Delete: true}}
	if _, err := s.store.Put(ctx, gone); err != nil {
		return session{}, false, fmt.Errorf("end session: %w", err)
	}
	delete(s.known[kind], name)
	return one, s.now().Before(one.Expires), nil
}

var errSignedOut = errors.New("nobody is signed in")

// visitor finds who a request is of.
func (c *Console) visitor(r *http.Request) (visitor, error) {
	cookie, err := r.Cookie(cookieName)
	if err != nil {
		return visitor{}, errSignedOut
	}
	one, ok := c.sessions.find(kindSession, cookie.Value)
	if !ok {
		return visitor{}, errSignedOut
	}
	if one.KeyID != "" {
		// Who the key belongs to now, and whether it is still good.
		_, p, err := c.cfg.Keys.Lookup(one.KeyID, "", c.cfg.Now())
		if err != nil || p.ARN != one.Principal.ARN {
			return visitor{}, errSignedOut
		}
		one.Principal = p
	}
	return visitor{session: one, id: cookie.Value, source: awsapi.Source(r), agent: "console; " + r.UserAgent()}, nil
}

// formToken is what each form of a session presents: another site cannot know it.
func (v visitor) formToken() string {
	mac := hmac.New(sha256.New, []byte(v.id))
	mac.Write([]byte("greengate console form v1"))
	return base64.RawURLEncoding.EncodeToString(mac.Sum(nil))
}

const maxForm = 64 << 10 // bytes

func (v visitor) ownsForm(w http.ResponseWriter, r *http.Request) bool {
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	return r.ParseForm() == nil && hmac.Equal([]byte(r.PostForm.Get("token")), []byte(v.formToken()))
}

// begin signs somebody in.
func (c *Console) begin(w http.ResponseWriter, r *http.Request, one session) error {
	one.Expires = c.cfg.Now().Add(sessionLife)
	id, err := c.sessions.add(r.Context(), kindSession, one)
	if err != nil {
		return err
	}
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure where there is TLS
		Name: cookieName, Value: id, Path: "/console/", MaxAge: int(sessionLife.Seconds()), HttpOnly: true, Secure: r.TLS != nil, SameSite: http.SameSiteStrictMode,
	})
	return nil
}

// Link makes a link that signs whoever follows it first in as p. It returns the path below the address of the API.
func (c *Console) Link(ctx context.Context, p awsapi.Principal) (path string, expires time.Time, err error) {
	expires = c.cfg.Now().Add(linkLife).UTC()
	id, err := c.sessions.add(ctx, kindLink, session{Principal: p, Expires: expires})
	if err != nil {
		return "", time.Time{}, err
	}
	return "/console/link?key=" + id, expires, nil
}

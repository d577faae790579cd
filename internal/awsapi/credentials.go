package awsapi

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
)

// What a Keys implementation answers when it refuses. Anything else is a fault of ours (HTTP 500).
var (
	// ErrUnknownKey: nobody was given this access key id.
	ErrUnknownKey = errors.New("unknown access key id")
	// ErrInvalidToken: the session token is missing, altered, or was made for other keys or another installation.
	ErrInvalidToken = errors.New("invalid session token")
	// ErrExpiredToken: the session token was good once.
	ErrExpiredToken = errors.New("expired session token")
)

// Secret is a secret access key. It prints as REDACTED everywhere; string(s) is the key itself.
type Secret string

const redacted = "REDACTED"

// String hides the key from fmt.
func (Secret) String() string { return redacted }

// GoString hides the key from %#v.
func (Secret) GoString() string { return redacted }

// LogValue hides the key from slog.
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the key from encoders.
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Kind says what stands behind credentials.
type Kind string

// The kinds of principals. Root may do everything, users and roles what their policies say, functions and tasks of
// greengate.yaml, which have no role, what their Scope says.
const (
	KindRoot     Kind = "root"
	KindUser     Kind = "user"
	KindRole     Kind = "role"
	KindFunction Kind = "function"
	KindTask     Kind = "task"
)

// session reports whether session credentials may be of the kind.
func (k Kind) session() bool { return k == KindRole || k == KindFunction || k == KindTask }

// Scope limits what session credentials may do. The zero Scope allows nothing.
type Scope struct {
	// Actions are IAM action names, "codedeploy:PutLifecycleEventHookExecutionStatus"; no wildcards.
	Actions []string `json:"actions,omitempty"`
	// Application and Group name the one deployment group whose resources may be touched.
	Application string `json:"application,omitempty"`
	Group       string `json:"group,omitempty"`
	// Function is the name of the hook function the credentials were made for, empty for tasks.
	Function string `json:"function,omitempty"`
}

// Principal is who signed a request.
type Principal struct {
	ARN       string `json:"arn"`
	AccountID string `json:"account"`
	Kind      Kind   `json:"kind"`
	Scope     Scope  `json:"scope,omitzero"`
	// Role is the ARN of the role that was taken on; UserID is the unique id of a user (AIDA…) or session (AROA…:NAME).
	Role   string `json:"role,omitempty"`
	UserID string `json:"userId,omitempty"`
}

// Keys finds the secret of an access key id. now decides about expiry. The session token is empty for long-lived keys.
// Refusals are ErrUnknownKey, ErrInvalidToken and ErrExpiredToken.
type Keys interface {
	Lookup(accessKeyID, sessionToken string, now time.Time) (Secret, Principal, error)
}

// RootKey is a long-lived key pair that may do everything.
type RootKey struct {
	AccessKeyID     string
	SecretAccessKey Secret
}

// KeyRingConfig is what NewKeyRing needs.
type KeyRingConfig struct {
	AccountID string
	// MasterKey signs session tokens and derives their secrets. 32 bytes, secret, kept over restarts: whoever has it can
	// be anybody, and with another one all session credentials are refused.
	MasterKey []byte
	Root      []RootKey
	// User finds who has a key of a user, ErrUnknownKey where nobody has it or it is not active; nil knows none.
	User func(accessKeyID string) (Principal, error)
	Now  func() time.Time
}

// KeyRing holds the root keys and issues session credentials. Nothing about an issued session is stored: its token
// carries the claims and their authentication code, its secret is derived from the same claims. It is safe for
// concurrent use.
type KeyRing struct {
	account   string
	root      []RootKey
	tokenKey  []byte
	secretKey []byte
	userKey   []byte
	user      func(accessKeyID string) (Principal, error)
	now       func() time.Time
}

// Credentials are short-lived session credentials, as a client's environment takes them.
type Credentials struct {
	AccessKeyID     string
	SecretAccessKey Secret
	SessionToken    string
	Expiration      time.Time
}

const (
	masterKeySize = 32
	sessionPrefix = "ASIA"
	userPrefix    = "AKIA"
	// maxTokenSize bounds what is decoded for a stranger.
	maxTokenSize = 4096
	// MaxSessionTTL is the longest life of session credentials: a hook may run an hour, a termination wait 48.
	MaxSessionTTL = 72 * time.Hour
)

// NewKeyRing returns a KeyRing. It refuses a short master key, and empty or repeated root keys.
func NewKeyRing(c KeyRingConfig) (*KeyRing, error) {
	if len(c.MasterKey) != masterKeySize {
		return nil, fmt.Errorf("create key ring: the master key has %d bytes, it must have %d", len(c.MasterKey), masterKeySize)
	}
	if c.Now == nil {
		return nil, errors.New("create key ring: Now is not set")
	}
	seen := map[string]bool{}
	for _, k := range c.Root {
		if k.AccessKeyID == "" || k.SecretAccessKey == "" {
			return nil, errors.New("create key ring: a root key without id or secret")
		}
		if seen[k.AccessKeyID] {
			return nil, fmt.Errorf("create key ring: root key %s is given twice", k.AccessKeyID)
		}
		seen[k.AccessKeyID] = true
	}
	return &KeyRing{
		account:   c.AccountID,
		root:      slices.Clone(c.Root),
		tokenKey:  mac(c.MasterKey, "greengate session token v1"),
		secretKey: mac(c.MasterKey, "greengate session secret v1"),
		userKey:   mac(c.MasterKey, "greengate user secret v1"),
		user:      c.User,
		now:       c.Now,
	}, nil
}

// claims is what a session token says. Changing a JSON name invalidates the tokens in flight.
type claims struct {
	AccessKeyID string    `json:"key"`
	Principal   Principal `json:"principal"`
	Expires     int64     `json:"exp"` // unix seconds
}

// Issue returns credentials for p that end after ttl (rounded to seconds, at most MaxSessionTTL). Root credentials are
// never issued: a session must not outrank its holder.
func (k *KeyRing) Issue(p Principal, ttl time.Duration) (Credentials, error) {
	if !p.Kind.session() {
		return Credentials{}, fmt.Errorf("issue session credentials: kind %q is not role, function or task", p.Kind)
	}
	if ttl < time.Second || ttl > MaxSessionTTL {
		return Credentials{}, fmt.Errorf("issue session credentials: a life of %s is not between 1s and %s", ttl, MaxSessionTTL)
	}
	if p.AccountID == "" {
		p.AccountID = k.account
	}
	id, err := newAccessKeyID(sessionPrefix)
	if err != nil {
		return Credentials{}, err
	}
	expires := k.now().Add(ttl).Truncate(time.Second).UTC()
	body, err := json.Marshal(claims{AccessKeyID: id, Principal: p, Expires: expires.Unix()})
	if err != nil {
		return Credentials{}, fmt.Errorf("encode session claims: %w", err)
	}
	token := base64.RawURLEncoding.EncodeToString(append(body, mac(k.tokenKey, string(body))...))
	if len(token) > maxTokenSize {
		return Credentials{}, fmt.Errorf("issue session credentials: the scope of %s is too long for a token", p.ARN)
	}
	return Credentials{AccessKeyID: id, SecretAccessKey: k.secretOf(body), SessionToken: token, Expiration: expires}, nil
}

// Lookup implements Keys.
func (k *KeyRing) Lookup(accessKeyID, sessionToken string, now time.Time) (Secret, Principal, error) {
	if strings.HasPrefix(accessKeyID, sessionPrefix) {
		return k.lookupSession(accessKeyID, sessionToken, now)
	}
	var found *RootKey
	for i := range k.root {
		if subtle.ConstantTimeCompare([]byte(k.root[i].AccessKeyID), []byte(accessKeyID)) == 1 {
			found = &k.root[i]
		}
	}
	switch {
	case found == nil:
		return k.lookupUser(accessKeyID, sessionToken)
	case sessionToken != "":
		return "", Principal{}, ErrInvalidToken
	}
	return found.SecretAccessKey, Principal{
		ARN:       "arn:aws:iam::" + k.account + ":root",
		AccountID: k.account,
		Kind:      KindRoot,
	}, nil
}

// NewUserKey makes a long-lived key pair for a user. The secret is derived from the id, so that it need not be stored and
// is never told again.
func (k *KeyRing) NewUserKey() (id string, secret Secret, err error) {
	id, err = newAccessKeyID(userPrefix)
	return id, k.userSecret(id), err
}

// userSecret has 40 characters, as at AWS.
func (k *KeyRing) userSecret(id string) Secret {
	return Secret(base64.RawURLEncoding.EncodeToString(mac(k.userKey, id)[:30]))
}

func (k *KeyRing) lookupUser(id, token string) (Secret, Principal, error) {
	if k.user == nil || !strings.HasPrefix(id, userPrefix) {
		return "", Principal{}, ErrUnknownKey
	}
	p, err := k.user(id)
	switch {
	case err != nil:
		return "", Principal{}, err
	case token != "":
		return "", Principal{}, ErrInvalidToken
	}
	return k.userSecret(id), p, nil
}

func (k *KeyRing) lookupSession(accessKeyID, token string, now time.Time) (Secret, Principal, error) {
	body, err := k.openToken(token)
	if err != nil {
		return "", Principal{}, err
	}
	var c claims
	if err := json.Unmarshal(body, &c); err != nil {
		// Authentic but not understood: made by another release.
		return "", Principal{}, ErrInvalidToken
	}
	if subtle.ConstantTimeCompare([]byte(c.AccessKeyID), []byte(accessKeyID)) != 1 {
		return "", Principal{}, ErrInvalidToken
	}
	if !c.Principal.Kind.session() {
		return "", Principal{}, ErrInvalidToken
	}
	if now.Unix() >= c.Expires {
		return "", Principal{}, ErrExpiredToken
	}
	return k.secretOf(body), c.Principal, nil
}

// openToken returns the claims of an authentic token. All tokens that are not authentic fail alike.
func (k *KeyRing) openToken(token string) ([]byte, error) {
	if len(token) > maxTokenSize {
		return nil, ErrInvalidToken
	}
	raw, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(raw) <= sha256.Size {
		return nil, ErrInvalidToken
	}
	body, sum := raw[:len(raw)-sha256.Size], raw[len(raw)-sha256.Size:]
	if !hmac.Equal(mac(k.tokenKey, string(body)), sum) {
		return nil, ErrInvalidToken
	}
	return body, nil
}

// secretOf derives the 40 characters of a session's secret access key from its claims.
func (k *KeyRing) secretOf(body []byte) Secret {
	return Secret(base64.RawURLEncoding.EncodeToString(mac(k.secretKey, string(body))[:30]))
}

// newAccessKeyID returns a prefix and 16 random characters (80 bits), the form that SDKs and scanners know.
func newAccessKeyID(prefix string) (string, error) {
	var b [10]byte
	if _, err := rand.Read(b[:]); err != nil {
		return "", fmt.Errorf("read random access key id: %w", err)
	}
	return prefix + base32.StdEncoding.EncodeToString(b[:]), nil
}

func mac(key []byte, message string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(message))
	return h.Sum(nil)
}

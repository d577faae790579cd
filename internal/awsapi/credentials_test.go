package awsapi

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func testRing(tb testing.TB, master byte) *KeyRing {
	tb.Helper()
	k, err := NewKeyRing(KeyRingConfig{
		AccountID: "000000000000",
		MasterKey: bytes.Repeat([]byte{master}, 32),
		Root:      []RootKey{{"AKIAROOT", "root-secret"}, {"AKIAOTHER", "other-secret"}},
		Now:       vectorTime,
	})
	if err != nil {
		tb.Fatal(err)
	}
	return k
}

func hookPrincipal() Principal {
	return Principal{
		ARN: "arn:aws:sts::000000000000:assumed-role/hook/d-AB12CD34E", AccountID: "000000000000", Kind: KindFunction,
		Scope: Scope{
			Actions:     []string{"codedeploy:PutLifecycleEventHookExecutionStatus"},
			Application: "shop", Group: "shop", Function: "check",
		},
	}
}

func TestKeyRing_root(t *testing.T) {
	t.Parallel()
	k := testRing(t, 1)
	secret, p, err := k.Lookup("AKIAOTHER", "", vectorTime())
	if err != nil || string(secret) != "other-secret" || p.Kind != KindRoot || p.ARN != "arn:aws:iam::000000000000:root" {
		t.Fatalf("got %q %+v %v", string(secret), p, err)
	}
	if _, _, err := k.Lookup("AKIANOBODY", "", vectorTime()); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("unknown key: %v", err)
	}
	if _, _, err := k.Lookup("AKIAROOT", "some-token", vectorTime()); !errors.Is(err, ErrInvalidToken) {
		t.Errorf("root key with a token: %v", err)
	}
}

func TestKeyRing_sessionOutlivesTheProcess(t *testing.T) {
	t.Parallel()
	c, err := testRing(t, 1).Issue(hookPrincipal(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if len(c.AccessKeyID) != 20 || !strings.HasPrefix(c.AccessKeyID, "ASIA") || len(c.SecretAccessKey) != 40 {
		t.Errorf("keys of an odd form: id %q, secret of %d characters", c.AccessKeyID, len(c.SecretAccessKey))
	}
	if want := vectorTime().Add(time.Hour); !c.Expiration.Equal(want) {
		t.Errorf("expires %s, want %s", c.Expiration, want)
	}
	// Another ring over the same master key is the process after a restart.
	secret, p, err := testRing(t, 1).Lookup(c.AccessKeyID, c.SessionToken, vectorTime().Add(time.Hour-time.Second))
	if err != nil || secret != c.SecretAccessKey {
		t.Fatalf("lookup: %v, same secret: %v", err, secret == c.SecretAccessKey)
	}
	if diff := cmp.Diff(hookPrincipal(), p); diff != "" {
		t.Errorf("principal (-issued +found):\n%s", diff)
	}
	if _, _, err := testRing(t, 1).Lookup(c.AccessKeyID, c.SessionToken, vectorTime().Add(time.Hour)); !errors.Is(err, ErrExpiredToken) {
		t.Errorf("at its end: %v, want ErrExpiredToken", err)
	}
}

func TestKeyRing_refusesForgedTokens(t *testing.T) {
	t.Parallel()
	k := testRing(t, 1)
	c, err := k.Issue(hookPrincipal(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	other, err := k.Issue(hookPrincipal(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	if other.AccessKeyID == c.AccessKeyID || other.SecretAccessKey == c.SecretAccessKey {
		t.Fatal("two sessions share a key")
	}
	foreign, err := testRing(t, 2).Issue(hookPrincipal(), time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := base64.RawURLEncoding.DecodeString(c.SessionToken)
	if err != nil {
		t.Fatal(err)
	}
	cases := map[string][2]string{
		"absent":             {c.AccessKeyID, ""},
		"not base64":         {c.AccessKeyID, "%%%"},
		"too short":          {c.AccessKeyID, "AAAA"},
		"too long":           {c.AccessKeyID, strings.Repeat("A", maxTokenSize+4)},
		"of another session": {c.AccessKeyID, other.SessionToken},
		"of another house":   {foreign.AccessKeyID, foreign.SessionToken},
		"padded":             {c.AccessKeyID, c.SessionToken + "="},
	}
	for i := range raw { // each single byte is covered by the code
		raw[i] ^= 1
		cases[fmt.Sprintf("byte %d", i)] = [2]string{c.AccessKeyID, base64.RawURLEncoding.EncodeToString(raw)}
		raw[i] ^= 1
	}
	for name, in := range cases {
		if _, _, err := k.Lookup(in[0], in[1], vectorTime()); !errors.Is(err, ErrInvalidToken) {
			t.Errorf("%s: %v, want ErrInvalidToken", name, err)
		}
	}
}

func TestKeyRing_issuesNothingForRoot(t *testing.T) {
	t.Parallel()
	k := testRing(t, 1)
	for name, call := range map[string]func() (Credentials, error){
		"root":     func() (Credentials, error) { return k.Issue(Principal{Kind: KindRoot}, time.Hour) },
		"no kind":  func() (Credentials, error) { return k.Issue(Principal{}, time.Hour) },
		"no life":  func() (Credentials, error) { return k.Issue(hookPrincipal(), 0) },
		"too long": func() (Credentials, error) { return k.Issue(hookPrincipal(), MaxSessionTTL+time.Second) },
		"too wide": func() (Credentials, error) {
			p := hookPrincipal()
			p.Scope.Actions = []string{strings.Repeat("x", maxTokenSize)}
			return k.Issue(p, time.Hour)
		},
	} {
		if c, err := call(); err == nil {
			t.Errorf("%s: issued %s", name, c.AccessKeyID)
		}
	}
}

func TestNewKeyRing_refuses(t *testing.T) {
	t.Parallel()
	good := KeyRingConfig{MasterKey: make([]byte, 32), Now: time.Now, Root: []RootKey{{"A", "s"}}}
	for name, change := range map[string]func(*KeyRingConfig){
		"short master key": func(c *KeyRingConfig) { c.MasterKey = c.MasterKey[:31] },
		"no clock":         func(c *KeyRingConfig) { c.Now = nil },
		"empty secret":     func(c *KeyRingConfig) { c.Root = []RootKey{{"A", ""}} },
		"same id twice":    func(c *KeyRingConfig) { c.Root = []RootKey{{"A", "s"}, {"A", "t"}} },
	} {
		c := good
		change(&c)
		if _, err := NewKeyRing(c); err == nil {
			t.Errorf("%s: accepted", name)
		}
	}
	if _, err := NewKeyRing(good); err != nil {
		t.Errorf("the good one: %v", err)
	}
}

func TestSecret_isNeverPrinted(t *testing.T) {
	t.Parallel()
	const key = "do-not-print-me"
	var b bytes.Buffer
	c := Credentials{AccessKeyID: "ASIA", SecretAccessKey: key}
	fmt.Fprintf(&b, "%v %+v %#v %s %q\n", c, c, c, c.SecretAccessKey, c.SecretAccessKey)
	slog.New(slog.NewJSONHandler(&b, nil)).Info("x", "secret", c.SecretAccessKey, "credentials", c)
	if err := json.NewEncoder(&b).Encode(c); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(b.String(), key) {
		t.Errorf("the secret was printed:\n%s", b.String())
	}
}

func FuzzLookupToken(f *testing.F) {
	k := testRing(f, 1)
	c, err := k.Issue(hookPrincipal(), time.Hour)
	if err != nil {
		f.Fatal(err)
	}
	// Another house's token stands for the good one: a fuzzer that is given it would find it again.
	foreign, err := testRing(f, 2).Issue(hookPrincipal(), time.Hour)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(c.AccessKeyID, foreign.SessionToken)
	f.Add(c.AccessKeyID, "")
	f.Add("ASIA", strings.Repeat("A", 100))
	f.Fuzz(func(t *testing.T, id, token string) {
		if secret, _, err := k.Lookup(id, token, vectorTime()); err == nil && id != "AKIAROOT" && id != "AKIAOTHER" {
			t.Fatalf("%q with %q gave the secret %q", id, token, string(secret))
		}
	})
}

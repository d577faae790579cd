package awsapi

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"greengate/internal/awsapi/wire"
)

// exampleKeys is the key pair of AWS's published signing examples.
type exampleKeys struct{ token string }

const exampleSecret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"

func (k exampleKeys) Lookup(id, token string, _ time.Time) (Secret, Principal, error) {
	if id != "AKIDEXAMPLE" {
		return "", Principal{}, ErrUnknownKey
	}
	if token != k.token {
		return "", Principal{}, ErrInvalidToken
	}
	return exampleSecret, Principal{ARN: "arn:aws:iam::000000000000:root", Kind: KindRoot}, nil
}

// verify does what a server does with a request.
func verify(r *http.Request, keys Keys, now time.Time) error {
	signed, err := beginVerify(r, keys, now)
	if err != nil {
		return err
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return err
	}
	return signed.finish(r, body)
}

// wireRequest parses a request from the bytes that a client would send.
func wireRequest(t *testing.T, method, rawURL, body string, headers map[string]string) *http.Request {
	t.Helper()
	u, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	target := strings.TrimPrefix(rawURL, u.Scheme+"://"+u.Host)
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s %s HTTP/1.1\r\nHost: %s\r\nContent-Length: %d\r\n", method, target, u.Host, len(body))
	for name, value := range headers {
		fmt.Fprintf(&b, "%s: %s\r\n", name, value)
	}
	b.WriteString("\r\n" + body)
	r, err := http.ReadRequest(bufio.NewReader(&b))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

type signedVector struct {
	Name, Signer, Method, URL, Token, Body string
	Headers                                map[string]string
}

func vectors(t *testing.T) []signedVector {
	t.Helper()
	data, err := os.ReadFile("testdata/sigv4.json")
	if err != nil {
		t.Fatal(err)
	}
	var list []signedVector
	if err := json.Unmarshal(data, &list); err != nil {
		t.Fatal(err)
	}
	if len(list) < 15 {
		t.Fatalf("only %d vectors", len(list))
	}
	return list
}

func vectorTime() time.Time { return time.Date(2026, time.November, 22, 12, 36, 0, 0, time.UTC) }

// TestVerify_clients checks requests signed by aws-sdk-go-v2 1.47.7 and botocore 1.43.11, and that nothing of them that
// the signature covers can be changed.
func TestVerify_clients(t *testing.T) {
	t.Parallel()
	for _, v := range vectors(t) {
		t.Run(v.Signer+"/"+v.Name, func(t *testing.T) {
			t.Parallel()
			keys := exampleKeys{v.Token}
			if err := verify(wireRequest(t, v.Method, v.URL, v.Body, v.Headers), keys, vectorTime()); err != nil {
				t.Fatalf("valid request refused: %v", err)
			}
			forged := map[string]*http.Request{
				"body":   wireRequest(t, v.Method, v.URL, v.Body+" ", v.Headers),
				"method": wireRequest(t, "PUT", v.URL, v.Body, v.Headers),
				"path":   wireRequest(t, v.Method, strings.Replace(v.URL, ".com/", ".com/x", 1)+"x", v.Body, v.Headers),
				"host":   wireRequest(t, v.Method, strings.Replace(v.URL, "//", "//evil.", 1), v.Body, v.Headers),
			}
			for what, r := range forged {
				if err := verify(r, keys, vectorTime()); !named(err, "InvalidSignatureException") {
					t.Errorf("changed %s: %v, want InvalidSignatureException", what, err)
				}
			}
		})
	}
}

// TestVerify_published checks the signatures that AWS publishes for its example key.
func TestVerify_published(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ method, signature string }{
		{"GET", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{"POST", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"},
	} {
		r := wireRequest(t, c.method, "http://example.amazonaws.com/", "", map[string]string{
			"X-Amz-Date": "20150830T123600Z",
			"Authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, " +
				"SignedHeaders=host;x-amz-date, Signature=" + c.signature,
		})
		if err := verify(r, exampleKeys{}, time.Date(2015, time.August, 30, 12, 38, 0, 0, time.UTC)); err != nil {
			t.Errorf("%s: %v", c.method, err)
		}
	}
}

// signer signs requests as a client does. It shares canonicalRequest with the server; that this is right, the vectors say.
type signer struct {
	key             RootKey
	token           string
	service, region string
	at              time.Time
}

func (s signer) sign(r *http.Request, body string) {
	sum := sha256.Sum256([]byte(body))
	s.signPayload(r, hex.EncodeToString(sum[:]))
}

// signPayload signs with the digest, or the word, that stands for the body. It returns what chunks go on from.
func (s signer) signPayload(r *http.Request, payload string) *signedRequest {
	stamp := s.at.UTC().Format(sigTimeForm)
	r.Header.Set("X-Amz-Date", stamp)
	if s.token != "" {
		r.Header.Set("X-Amz-Security-Token", s.token)
	}
	a := &authorization{accessKeyID: s.key.AccessKeyID, date: stamp[:8], region: s.region, service: s.service}
	a.signedHeaders = []string{"host"}
	for name := range r.Header {
		if low := strings.ToLower(name); strings.HasPrefix(low, "x-amz-") || low == "content-type" {
			a.signedHeaders = append(a.signedHeaders, low)
		}
	}
	slices.Sort(a.signedHeaders)
	if r.Host == "" {
		r.Host = r.URL.Host
	}
	query, err := canonicalQuery(r.URL.RawQuery)
	if err != nil {
		panic(err)
	}
	signed := &signedRequest{auth: a, secret: s.key.SecretAccessKey, time: stamp, query: query}
	canonical, err := signed.canonicalRequest(r, payload)
	if err != nil {
		panic(err)
	}
	sum := sha256.Sum256([]byte(canonical))
	a.signature = signed.sign(sigAlgorithm, hex.EncodeToString(sum[:]))
	r.Header.Set("Authorization", fmt.Sprintf("%s Credential=%s/%s, SignedHeaders=%s, Signature=%x", sigAlgorithm,
		a.accessKeyID, a.scope(), strings.Join(a.signedHeaders, ";"), a.signature))
	return signed
}

func exampleSigner(at time.Time) signer {
	return signer{RootKey{"AKIDEXAMPLE", exampleSecret}, "", "codedeploy", "us-east-1", at}
}

func TestVerify_refuses(t *testing.T) {
	t.Parallel()
	now := vectorTime()
	good := func() *http.Request {
		r := wireRequest(t, "POST", "http://127.0.0.1/", "{}", map[string]string{"X-Amz-Target": "CodeDeploy_20141006.GetDeployment"})
		exampleSigner(now).sign(r, "{}")
		return r
	}
	if err := verify(good(), exampleKeys{}, now); err != nil {
		t.Fatalf("the good request: %v", err)
	}
	edit := func(from, to string) func(*http.Request) {
		return func(r *http.Request) {
			h := r.Header.Get("Authorization")
			if !strings.Contains(h, from) {
				t.Fatalf("%q is not in %q", from, h)
			}
			r.Header.Set("Authorization", strings.Replace(h, from, to, 1))
		}
	}
	for _, c := range []struct {
		name   string
		change func(*http.Request)
		after  time.Duration
		want   string
	}{
		{"no header", func(r *http.Request) { r.Header.Del("Authorization") }, 0, "MissingAuthenticationTokenException"},
		{"two headers", func(r *http.Request) { r.Header.Add("Authorization", "x") }, 0, "IncompleteSignatureException"},
		{"other algorithm", edit("AWS4-HMAC-SHA256", "AWS4-ECDSA-P256-SHA256"), 0, "IncompleteSignatureException"},
		{"bearer", func(r *http.Request) { r.Header.Set("Authorization", "Bearer abc") }, 0, "IncompleteSignatureException"},
		{"no signature", edit("Signature=", "Signatura="), 0, "IncompleteSignatureException"},
		{"short scope", edit("/us-east-1", ""), 0, "IncompleteSignatureException"},
		{"empty region", edit("us-east-1", ""), 0, "IncompleteSignatureException"},
		{"wrong terminator", edit("aws4_request", "aws5_request"), 0, "InvalidSignatureException"},
		{"unsorted headers", edit("host;x-amz-date", "x-amz-date;host"), 0, "IncompleteSignatureException"},
		{"host not signed", edit("host;", ""), 0, "InvalidSignatureException"},
		{"target not signed", edit(";x-amz-target", ""), 0, "InvalidSignatureException"},
		{"token added", func(r *http.Request) { r.Header.Set("X-Amz-Security-Token", "t") }, 0, "InvalidSignatureException"},
		{"signed header absent", edit("host;x-amz-date", "host;me;x-amz-date"), 0, "InvalidSignatureException"},
		{"target repeated", func(r *http.Request) { r.Header.Add("X-Amz-Target", "other") }, 0, "InvalidSignatureException"},
		{"other region", edit("us-east-1", "us-east-2"), 0, "InvalidSignatureException"},
		{"other day", edit("/20261122/", "/20261123/"), 0, "InvalidSignatureException"},
		{"no date", func(r *http.Request) { r.Header.Del("X-Amz-Date") }, 0, "IncompleteSignatureException"},
		{"bad date", func(r *http.Request) { r.Header.Set("X-Amz-Date", "20261122") }, 0, "IncompleteSignatureException"},
		{"unknown key", edit("AKIDEXAMPLE", "AKIDNOBODY"), 0, "UnrecognizedClientException"},
		{"body hash", func(r *http.Request) { r.Header.Set("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD") }, 0, "InvalidSignatureException"},
		{"still in time", func(*http.Request) {}, 5 * time.Minute, ""},
		{"still in time before", func(*http.Request) {}, -5 * time.Minute, ""},
		{"too late", func(*http.Request) {}, 5*time.Minute + time.Second, "InvalidSignatureException"},
		{"too early", func(*http.Request) {}, -5*time.Minute - time.Second, "InvalidSignatureException"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := good()
			c.change(r)
			err := verify(r, exampleKeys{}, now.Add(c.after))
			if c.want == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			var e *Error
			if !errors.As(err, &e) || e.Name != c.want {
				t.Fatalf("got %v, want %s", err, c.want)
			}
			if got := (wire.JSON{Version: "1.1"}).EncodeFault(nil, wire.Fault{Name: e.Name, Status: e.Status}).Status; got != http.StatusBadRequest {
				t.Errorf("status %d, want 400", got)
			}
		})
	}
}

// TestVerify_contentHash keeps the hash header from standing in for the body.
func TestVerify_contentHash(t *testing.T) {
	t.Parallel()
	now := vectorTime()
	body := `{"deploymentId":"d-AB12CD34E"}`
	empty := sha256.Sum256(nil)
	r := wireRequest(t, "POST", "http://127.0.0.1/", body, map[string]string{"X-Amz-Content-Sha256": hex.EncodeToString(empty[:])})
	exampleSigner(now).sign(r, "")
	if err := verify(r, exampleKeys{}, now); !named(err, "InvalidSignatureException") {
		t.Fatalf("a signature over another body was taken: %v", err)
	}
}

func FuzzParseAuthorization(f *testing.F) {
	f.Add("AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, " +
		"Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31")
	f.Add("AWS4-HMAC-SHA256 Credential=a/b/c/d/aws4_request,SignedHeaders=host,Signature=00")
	f.Add("AWS4-HMAC-SHA256 Credential=,SignedHeaders=;;,Signature=")
	f.Add("Basic dXNlcjpwYXNz")
	f.Add("")
	f.Fuzz(func(t *testing.T, header string) {
		a, err := parseAuthorization(header)
		if err != nil {
			var e *Error
			if a != nil || !errors.As(err, &e) {
				t.Fatalf("refused with %T and value %v", err, a)
			}
			return
		}
		// What was accepted is complete, and says the same when written and read again.
		again, err := parseAuthorization(fmt.Sprintf("%s Credential=%s/%s, SignedHeaders=%s, Signature=%x", sigAlgorithm,
			a.accessKeyID, a.scope(), strings.Join(a.signedHeaders, ";"), a.signature))
		if err != nil {
			t.Fatalf("accepted %q but not its normal form: %v", header, err)
		}
		if again.accessKeyID != a.accessKeyID || again.scope() != a.scope() || !slices.Equal(again.signedHeaders, a.signedHeaders) {
			t.Fatalf("%+v became %+v", a, again)
		}
		if len(a.signature) != sha256.Size || len(a.signedHeaders) == 0 || a.accessKeyID == "" {
			t.Fatalf("accepted an incomplete header: %+v", a)
		}
	})
}

func FuzzCanonicalQuery(f *testing.F) {
	f.Add("Param2=value2&Param1=b&Param1=a&p=")
	f.Add("a=%zz")
	f.Add("&&=&x=+%20%2B")
	f.Fuzz(func(t *testing.T, raw string) {
		q, err := canonicalQuery(raw)
		if err != nil {
			return
		}
		again, err := canonicalQuery(q)
		if err != nil || again != q {
			t.Fatalf("%q became %q, and that %q (%v)", raw, q, again, err)
		}
	})
}

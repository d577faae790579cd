package scenario

import (
	"encoding/pem"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"
)

// TestTLS: whom a scenario trusts, and what it sees of the certificate.
func TestTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "hello") }))
	t.Cleanup(server.Close)
	dir := t.TempDir()
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), ca, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		tls, assert, message string
		verdict              Verdict
	}{
		{"{}", "status == 200", "certificate", Error},
		{"{ca: ca.pem}", "status == 200", "", Pass},
		{"{ca: ca.pem}", `"example.com" in certificate.dns_names and certificate.valid_for > duration("24h")`, "", Pass},
		{"{ca: ca.pem}", `certificate.valid_for < duration("24h")`, "certificate.valid_for", Fail},
		{"{ca: ca.pem, server_name: other.test}", "status == 200", "other.test", Error},
		{"{ca: ca.pem, server_name: example.com}", "status == 200", "", Pass},
		{"{ca: check.yaml}", "status == 200", "no PEM certificate", Error},
		{"{insecure: true}", "status == 200", "", Pass},
		{"{cert: ca.pem, key: /no/such/key}", "status == 200", "read tls.key", Error},
	} {
		file := filepath.Join(dir, "check.yaml")
		content := fmt.Sprintf("version: 1\ntls: %s\nsteps: [{request: GET /, assert: ['%s']}]\n", c.tls, c.assert)
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := Load(file)
		if err != nil {
			t.Fatal(err)
		}
		want(t, s.Run(t.Context(), Options{BaseURL: server.URL}), c.verdict, c.message)
	}
}

// TestSign is a vector of AWS's own suite for Signature Version 4 (get-vanilla-query-order-key-case).
func TestSign(t *testing.T) {
	t.Parallel()
	u, err := url.Parse("https://example.amazonaws.com/?Param2=value2&Param1=value1")
	if err != nil {
		t.Fatal(err)
	}
	req := &http.Request{Method: http.MethodGet, URL: u, Host: u.Host, Header: http.Header{}}
	k := awsKey{access: "AKIDEXAMPLE", secret: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", region: "us-east-1", service: "service"}
	k.sign(req, nil, time.Date(2015, 8, 30, 12, 36, 0, 0, time.UTC))
	const want = "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, " +
		"Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"
	if got := req.Header.Get("Authorization"); got != want {
		t.Errorf("signed\n%s, want\n%s", got, want)
	}
}

// TestAllow: what a place allows.
func TestAllow(t *testing.T) {
	t.Parallel()
	for i, allow := range Effects() {
		for j, of := range Effects() {
			if allow.Allows(of) != (j <= i) {
				t.Errorf("%s allows %s: %v", allow, of, allow.Allows(of))
			}
		}
		if !Effect("").Allows(allow) || Effect("other").Allows(allow) {
			t.Errorf("no limit, and an unknown one, of %s", allow)
		}
	}
}

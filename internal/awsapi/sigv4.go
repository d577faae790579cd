package awsapi

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	sigAlgorithm = "AWS4-HMAC-SHA256"
	sigTerminal  = "aws4_request"
	sigTimeForm  = "20060102T150405Z"
	// sigSkew is how far a client's clock may be off, as at AWS.
	sigSkew = 5 * time.Minute
	// maxAuthorization bounds the header we parse for a stranger.
	maxAuthorization = 8 << 10
)

// authorization is a parsed Authorization header.
type authorization struct {
	accessKeyID   string
	date          string // yyyymmdd of the scope
	region        string
	service       string
	signedHeaders []string // lower case, sorted
	signature     []byte
}

func (a *authorization) scope() string {
	return a.date + "/" + a.region + "/" + a.service + "/" + sigTerminal
}

// parseAuthorization reads "AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=…". Its errors are wire errors.
func parseAuthorization(header string) (*authorization, error) {
	if header == "" {
		return nil, errMissingToken
	}
	if len(header) > maxAuthorization {
		return nil, incompleteSignature("Authorization header is too long.")
	}
	algorithm, rest, ok := strings.Cut(header, " ")
	if !ok || algorithm != sigAlgorithm {
		return nil, incompleteSignature("Authorization header requires '" + sigAlgorithm + "'.")
	}
	fields, err := authorizationFields(rest)
	if err != nil {
		return nil, err
	}
	a := &authorization{}
	if err := a.setCredential(fields["Credential"]); err != nil {
		return nil, err
	}
	if err := a.setSignedHeaders(fields["SignedHeaders"]); err != nil {
		return nil, err
	}
	a.signature, err = hex.DecodeString(fields["Signature"])
	if err != nil || len(a.signature) != sha256.Size {
		return nil, incompleteSignature("The 'Signature' of the Authorization header is not 64 hexadecimal digits.")
	}
	return a, nil
}

// authorizationFields splits the three parameters. Each must be there once and nothing else may.
func authorizationFields(s string) (map[string]string, error) {
	fields := make(map[string]string, 3)
	for part := range strings.SplitSeq(s, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || value == "" {
			return nil, incompleteSignature("Authorization header holds a parameter that is not 'name=value'.")
		}
		if name != "Credential" && name != "SignedHeaders" && name != "Signature" {
			return nil, incompleteSignature("Authorization header holds an unknown parameter.")
		}
		if _, twice := fields[name]; twice {
			return nil, incompleteSignature("Authorization header holds '" + name + "' twice.")
		}
		fields[name] = value
	}
	for _, name := range []string{"Credential", "SignedHeaders", "Signature"} {
		if fields[name] == "" {
			return nil, incompleteSignature("Authorization header requires '" + name + "' parameter.")
		}
	}
	return fields, nil
}

func (a *authorization) setCredential(s string) error {
	parts := strings.Split(s, "/")
	if len(parts) != 5 || slices.Contains(parts, "") {
		return incompleteSignature("Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/term.")
	}
	if parts[4] != sigTerminal {
		return invalidSignature("Credential should be scoped with a valid terminator: '" + sigTerminal + "'.")
	}
	if len(parts[1]) != 8 || strings.Trim(parts[1], "0123456789") != "" {
		return incompleteSignature("Date in Credential scope is not of the form YYYYMMDD.")
	}
	a.accessKeyID, a.date, a.region, a.service = parts[0], parts[1], parts[2], parts[3]
	return nil
}

func (a *authorization) setSignedHeaders(s string) error {
	names := strings.Split(s, ";")
	for i, n := range names {
		if n == "" || n != strings.ToLower(n) || strings.ContainsAny(n, " \t\r\n") {
			return incompleteSignature("SignedHeaders must be lower-case header names, separated by ';'.")
		}
		if i > 0 && names[i-1] >= n {
			return incompleteSignature("SignedHeaders must be sorted and must not repeat a name.")
		}
	}
	a.signedHeaders = names
	return nil
}

// signedRequest is what the verification learned before the body was read.
type signedRequest struct {
	auth      *authorization
	secret    Secret
	principal Principal
	time      string // X-Amz-Date
	query     string // canonical, without the signature
	presigned bool
}

// beginVerify checks everything that needs no body, so that a stranger cannot make us read one.
func beginVerify(r *http.Request, keys Keys, now time.Time) (*signedRequest, error) {
	s, token, err := readSignature(r, now)
	if err != nil {
		return nil, err
	}
	s.secret, s.principal, err = keys.Lookup(s.auth.accessKeyID, token, now)
	switch {
	case errors.Is(err, ErrExpiredToken):
		return nil, errExpiredToken
	case errors.Is(err, ErrUnknownKey), errors.Is(err, ErrInvalidToken):
		return nil, errUnrecognizedClient
	case err != nil:
		return nil, fmt.Errorf("look up access key: %w", err)
	}
	return s, nil
}

// readSignature reads the signature from where the request has it, the header or the query string.
func readSignature(r *http.Request, now time.Time) (s *signedRequest, token string, err error) {
	values := r.Header.Values("Authorization")
	if strings.Contains(r.URL.RawQuery, "X-Amz-Algorithm=") {
		if len(values) > 0 {
			return nil, "", incompleteSignature("The request is signed both in a header and in its query string.")
		}
		return readPresigned(r, now)
	}
	if len(values) > 1 {
		return nil, "", incompleteSignature("More than one Authorization header.")
	}
	a, err := parseAuthorization(r.Header.Get("Authorization"))
	if err != nil {
		return nil, "", err
	}
	if err := checkSignedHeaders(r, a); err != nil {
		return nil, "", err
	}
	stamp, err := signingTime(r, a, now)
	if err != nil {
		return nil, "", err
	}
	query, err := canonicalQuery(r.URL.RawQuery)
	if err != nil {
		return nil, "", err
	}
	return &signedRequest{auth: a, time: stamp, query: query}, r.Header.Get("X-Amz-Security-Token"), nil
}

// checkSignedHeaders refuses requests whose meaning is not covered by the signature: the host and all x-amz- headers
// must be. A browser's x-amz-user-agent means nothing to us.
func checkSignedHeaders(r *http.Request, a *authorization) error {
	if !slices.Contains(a.signedHeaders, "host") {
		return invalidSignature("'Host' or ':authority' must be a 'SignedHeader' in the AWS Authorization.")
	}
	for name, values := range r.Header {
		low := strings.ToLower(name)
		if !strings.HasPrefix(low, "x-amz-") || low == "x-amz-user-agent" {
			continue
		}
		if !slices.Contains(a.signedHeaders, low) {
			return invalidSignature("'" + name + "' must be a 'SignedHeader' in the AWS Authorization.")
		}
		if len(values) > 1 {
			return invalidSignature("'" + name + "' must not be repeated.")
		}
	}
	return nil
}

// signingTime returns the request's time as it was signed, after checking it against the scope and the clock.
func signingTime(r *http.Request, a *authorization, now time.Time) (string, error) {
	stamp := r.Header.Get("X-Amz-Date")
	if stamp == "" {
		t, err := http.ParseTime(r.Header.Get("Date"))
		if err != nil || !slices.Contains(a.signedHeaders, "date") {
			return "", incompleteSignature("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header.")
		}
		stamp = t.UTC().Format(sigTimeForm)
	}
	t, err := time.Parse(sigTimeForm, stamp)
	if err != nil {
		return "", incompleteSignature("Date must be in ISO-8601 'basic format'.")
	}
	if !strings.HasPrefix(stamp, a.date) {
		return "", invalidSignature("Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP.")
	}
	now = now.UTC()
	if t.Before(now.Add(-sigSkew)) {
		return "", skewed(fmt.Sprintf("Signature expired: %s is now earlier than %s (%s - 5 min.)",
			stamp, now.Add(-sigSkew).Format(sigTimeForm), now.Format(sigTimeForm)))
	}
	return stamp, notYetCurrent(t, now)
}

// notYetCurrent refuses a time that is still to come. Its result is nil or a wire error.
func notYetCurrent(t, now time.Time) error {
	if t.After(now.Add(sigSkew)) {
		return skewed(fmt.Sprintf("Signature not yet current: %s is still later than %s (%s + 5 min.)",
			t.Format(sigTimeForm), now.Add(sigSkew).Format(sigTimeForm), now.Format(sigTimeForm)))
	}
	return nil
}

func skewed(message string) *Error {
	e := invalidSignature(message)
	e.s3 = "RequestTimeTooSkewed"
	return e
}

// finish checks the signature over the request and its whole body.
func (s *signedRequest) finish(r *http.Request, body []byte) error {
	sum := sha256.Sum256(body)
	payload := hex.EncodeToString(sum[:])
	if given := r.Header.Get("X-Amz-Content-Sha256"); given != "" && given != payload {
		return invalidSignature("The provided 'x-amz-content-sha256' header does not match what was computed.")
	}
	return s.check(r, payload)
}

// check compares the signature; payload is the digest of the body, or the word that stands for it.
func (s *signedRequest) check(r *http.Request, payload string) error {
	canonical, err := s.canonicalRequest(r, payload)
	if err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(canonical))
	if !hmac.Equal(s.sign(sigAlgorithm, hex.EncodeToString(sum[:])), s.auth.signature) {
		return errSignatureMismatch
	}
	return nil
}

// sign computes a signature (AWS General Reference, "Create a signed AWS API request"). what is the end of the string to
// sign: for a request the digest of its canonical form.
func (s *signedRequest) sign(algorithm, what string) []byte {
	a := s.auth
	key := mac([]byte("AWS4"+string(s.secret)), a.date)
	key = mac(key, a.region)
	key = mac(key, a.service)
	key = mac(key, sigTerminal)
	return mac(key, algorithm+"\n"+s.time+"\n"+a.scope()+"\n"+what)
}

func (s *signedRequest) canonicalRequest(r *http.Request, payload string) (string, error) {
	var b strings.Builder
	b.WriteString(r.Method + "\n" + canonicalPath(r, s.auth.service) + "\n" + s.query + "\n")
	for _, name := range s.auth.signedHeaders {
		value, ok := headerValue(r, name)
		if !ok {
			return "", invalidSignature("The signed header '" + name + "' is not in the request.")
		}
		b.WriteString(name + ":" + value + "\n")
	}
	b.WriteString("\n" + strings.Join(s.auth.signedHeaders, ";") + "\n" + payload)
	return b.String(), nil
}

// headerValue returns a header in canonical form. net/http keeps Host, and sometimes Content-Length, outside the map.
func headerValue(r *http.Request, name string) (string, bool) {
	if name == "host" {
		return r.Host, r.Host != ""
	}
	values := r.Header.Values(name)
	if len(values) == 0 && name == "content-length" && r.ContentLength >= 0 {
		return strconv.FormatInt(r.ContentLength, 10), true
	}
	if len(values) == 0 {
		return "", false
	}
	trimmed := make([]string, len(values))
	for i, v := range values {
		trimmed[i] = strings.Join(strings.Fields(v), " ")
	}
	return strings.Join(trimmed, ","), true
}

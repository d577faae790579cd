package awsapi

import (
	"crypto/sha256"
	"encoding/hex"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// maxPresigned is how long a signature in a query string may be valid (S3 API reference, "Authenticating requests: using
// query parameters").
const maxPresigned = 7 * 24 * time.Hour

// readPresigned reads a signature from the query string.
func readPresigned(r *http.Request, now time.Time) (*signedRequest, string, error) {
	query, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, "", incompleteSignature("The query string is not well formed.")
	}
	for _, name := range []string{"X-Amz-Algorithm", "X-Amz-Credential", "X-Amz-Date", "X-Amz-Expires", "X-Amz-SignedHeaders", "X-Amz-Signature"} {
		if len(query[name]) != 1 || query.Get(name) == "" {
			return nil, "", incompleteSignature("The query string requires '" + name + "' once.")
		}
	}
	if query.Get("X-Amz-Algorithm") != sigAlgorithm {
		return nil, "", incompleteSignature("X-Amz-Algorithm only supports '" + sigAlgorithm + "'.")
	}
	a := &authorization{}
	if err := a.setCredential(query.Get("X-Amz-Credential")); err != nil {
		return nil, "", err
	}
	if err := a.setSignedHeaders(query.Get("X-Amz-SignedHeaders")); err != nil {
		return nil, "", err
	}
	a.signature, err = hex.DecodeString(query.Get("X-Amz-Signature"))
	if err != nil || len(a.signature) != sha256.Size {
		return nil, "", incompleteSignature("X-Amz-Signature is not 64 hexadecimal digits.")
	}
	if err := checkSignedHeaders(r, a); err != nil {
		return nil, "", err
	}
	if err := presignedTime(query, a, now); err != nil {
		return nil, "", err
	}
	canonical, err := canonicalQuery(withoutSignature(r.URL.RawQuery))
	if err != nil {
		return nil, "", err
	}
	s := &signedRequest{auth: a, time: query.Get("X-Amz-Date"), query: canonical, presigned: true}
	return s, query.Get("X-Amz-Security-Token"), nil
}

// presignedTime checks that now is between the time of the signature and its end.
func presignedTime(query url.Values, a *authorization, now time.Time) error {
	stamp := query.Get("X-Amz-Date")
	t, err := time.Parse(sigTimeForm, stamp)
	if err != nil {
		return incompleteSignature("X-Amz-Date must be in ISO-8601 'basic format'.")
	}
	if !strings.HasPrefix(stamp, a.date) {
		return invalidSignature("Date in Credential scope does not match YYYYMMDD from X-Amz-Date.")
	}
	seconds, err := strconv.ParseInt(query.Get("X-Amz-Expires"), 10, 32)
	lasts := time.Duration(seconds) * time.Second
	if err != nil || lasts < 0 || lasts > maxPresigned {
		return incompleteSignature("X-Amz-Expires must be a number of seconds, at most 604800.")
	}
	now = now.UTC()
	if err := notYetCurrent(t, now); err != nil {
		return err
	}
	if now.After(t.Add(lasts)) {
		return fault("AccessDeniedException", "Request has expired")
	}
	return nil
}

func withoutSignature(raw string) string {
	parts := strings.Split(raw, "&")
	kept := parts[:0]
	for _, p := range parts {
		if !strings.HasPrefix(p, "X-Amz-Signature=") {
			kept = append(kept, p)
		}
	}
	return strings.Join(kept, "&")
}

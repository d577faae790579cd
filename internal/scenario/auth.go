package scenario

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// apply proves who sends the request. What proves it is masked from then on.
func (a *auth) apply(req *http.Request, body []byte, values map[string]any, mask *masker) error {
	if a == nil {
		return nil
	}
	texts := map[*template]string{}
	for _, t := range []*template{a.bearer, a.user, a.password, a.region, a.service, a.accessKey, a.secretKey, a.sessionToken} {
		if t == nil {
			continue
		}
		text, err := t.string(values)
		if err != nil {
			return fmt.Errorf("auth: %w", err)
		}
		if strings.ContainsAny(text, "\r\n") {
			return errors.New("auth: the value holds a line break")
		}
		texts[t] = text
	}
	switch {
	case a.bearer != nil:
		mask.add(texts[a.bearer])
		req.Header.Set("Authorization", "Bearer "+texts[a.bearer])
	case a.password != nil:
		mask.add(texts[a.password])
		mask.add(texts[a.user] + ":" + texts[a.password]) // as it is sent
		req.SetBasicAuth(texts[a.user], texts[a.password])
	case a.secretKey != nil:
		mask.add(texts[a.secretKey])
		if a.sessionToken != nil {
			mask.add(texts[a.sessionToken])
			req.Header.Set("X-Amz-Security-Token", texts[a.sessionToken])
		}
		k := awsKey{access: texts[a.accessKey], secret: texts[a.secretKey], region: texts[a.region], service: texts[a.service]}
		k.sign(req, body, time.Now().UTC())
	}
	return nil
}

// awsKey signs requests as AWS wants it (Signature Version 4, with the header Authorization).
type awsKey struct{ access, secret, region, service string }

func (k awsKey) sign(req *http.Request, body []byte, now time.Time) {
	stamp, day := now.Format("20060102T150405Z"), now.Format("20060102")
	sum := sha256.Sum256(body)
	payload := hex.EncodeToString(sum[:])
	req.Header.Set("X-Amz-Date", stamp)
	if k.service == "s3" {
		req.Header.Set("X-Amz-Content-Sha256", payload)
	}
	headers := map[string]string{"host": req.Host}
	for name, v := range req.Header {
		if lower := strings.ToLower(name); lower == "content-type" || strings.HasPrefix(lower, "x-amz-") {
			headers[lower] = strings.Join(strings.Fields(strings.Join(v, ",")), " ")
		}
	}
	var names []string
	for name := range headers {
		names = append(names, name)
	}
	slices.Sort(names)
	var canonical strings.Builder
	for _, name := range names {
		canonical.WriteString(name + ":" + headers[name] + "\n")
	}
	signed := strings.Join(names, ";")
	request := strings.Join([]string{req.Method, k.path(req.URL), canonicalQuery(req.URL), canonical.String(), signed, payload}, "\n")
	scope := day + "/" + k.region + "/" + k.service + "/aws4_request"
	digest := sha256.Sum256([]byte(request))
	key := []byte("AWS4" + k.secret)
	for _, part := range []string{day, k.region, k.service, "aws4_request"} {
		key = hmacOf(key, part)
	}
	signature := hex.EncodeToString(hmacOf(key, "AWS4-HMAC-SHA256\n"+stamp+"\n"+scope+"\n"+hex.EncodeToString(digest[:])))
	req.Header.Set("Authorization", "AWS4-HMAC-SHA256 Credential="+k.access+"/"+scope+", SignedHeaders="+signed+", Signature="+signature)
}

func hmacOf(key []byte, text string) []byte {
	h := hmac.New(sha256.New, key)
	_, _ = h.Write([]byte(text)) // never fails
	return h.Sum(nil)
}

// path is the canonical one: encoded twice, but once for S3.
func (k awsKey) path(u *url.URL) string {
	p := u.EscapedPath()
	if p == "" {
		p = "/"
	}
	if k.service == "s3" {
		return p
	}
	segments := strings.Split(p, "/")
	for i, s := range segments {
		segments[i] = awsEscape(s)
	}
	return strings.Join(segments, "/")
}

func awsEscape(s string) string {
	return strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(s), "+", "%20"), "%7E", "~")
}

func canonicalQuery(u *url.URL) string {
	var pairs []string
	for name, values := range u.Query() {
		for _, v := range values {
			pairs = append(pairs, awsEscape(name)+"="+awsEscape(v))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}
